import { itemsOf, type Place, refuse, refuseFound, textOf } from './place.ts';
import type { Translation } from './read-keys.ts';

/** Bounds that the contract (`spec.proto`) sets for a command. */
const MAX_WORDS = 256;
const MAX_LENGTH = 32 * 1024;

/**
 * Reads a command: a list of words as it stands, or one text, taken apart at its spaces as a shell would.
 *
 * Quotes and backslashes work; nothing else of a shell does. `|`, `;`, `>` and `$(…)` are letters like any other, since
 * no shell ever sees them (Compose would drop what follows); a warning says so.
 *
 * @throws INVALID_ARGUMENT for a quote without its end, and beyond the bounds of a command.
 */
export function wordsOf(place: Place, { warn }: Pick<Translation, 'warn'>): readonly string[] {
  const words = typeof place.value === 'string' ? splitWords(place, place.value, warn) : listOf(place);
  if (words.length > MAX_WORDS) throw refuse(place, `${words.length} words`, `at most ${MAX_WORDS}`);
  const length = words.reduce((sum, word) => sum + word.length, 0);
  if (length > MAX_LENGTH) throw refuse(place, `${length} characters`, `at most ${MAX_LENGTH}`);
  return words;
}

function listOf(place: Place): readonly string[] {
  if (!Array.isArray(place.value)) throw refuseFound(place, 'a text, or a list of words');
  return itemsOf(place).map((item) => textOf(item));
}

/** A word is made of parts: plain letters, an escaped one, or a quoted stretch. */
const PART = /[^\s'"\\]+|\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"/suy;
const SPACE = /\s+/uy;
const SHELL_SIGN = /[|;&<>()`]/;

function splitWords(place: Place, text: string, warn: Translation['warn']): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let isForShell = false;
  for (let at = 0; at < text.length; ) {
    const space = matchAt(SPACE, text, at);
    if (space) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += space[0].length;
      continue;
    }
    const part = matchAt(PART, text, at);
    if (!part) throw refuse(place, 'found a quote or backslash without its end', 'quotes in pairs, or a list of words');
    isForShell ||= /^[^'"\\]/.test(part[0]) && SHELL_SIGN.test(part[0]);
    word = (word ?? '') + textOfPart(part);
    at += part[0].length;
  }
  if (isForShell) warn(place, 'no shell reads it, so ; | > and the like are plain text; write sh -c "…" for a shell');
  return word === undefined ? words : [...words, word];
}

function textOfPart([whole, escaped, single, double]: RegExpExecArray): string {
  if (double !== undefined) return double.replace(/\\(.)/gsu, '$1');
  return single ?? escaped ?? whole;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

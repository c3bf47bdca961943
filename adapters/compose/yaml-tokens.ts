import { type CST, Lexer, type LineCounter, Parser } from 'yaml';
import { refuseAt, refuseText } from './yaml-refusal.ts';

/** Bounds within which a text is worth reading as YAML. The figures were measured: see `docs/compose.md`. */
export const YAML_LIMITS = {
  bytes: 256 * 1024,
  /** Words, signs, spaces and line ends: some 1,700 lines. What they cost is not linear, hence not only `bytes`. */
  tokens: 12_288,
  /** Open maps and lists, each of which the parser keeps as one to three frames. */
  frames: 100,
} as const;

/**
 * Checks a text before anything reads it.
 *
 * @throws INVALID_ARGUMENT for what is too large, a byte order mark, control characters and half characters.
 */
export function checkText(text: string): void {
  if (text.length > YAML_LIMITS.bytes || Buffer.byteLength(text) > YAML_LIMITS.bytes) {
    throw refuseText(`larger than ${YAML_LIMITS.bytes / 1024} KiB`, `at most ${YAML_LIMITS.bytes / 1024} KiB`);
  }
  if (text.startsWith('\ufeff')) throw refuseText('begins with a byte order mark', 'UTF-8 without one');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const control = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text);
  if (control) throw refuseText(`holds a control character at position ${control.index}`, 'text');
  if (!text.isWellFormed()) throw refuseText('holds half of a character', 'text that is valid Unicode');
}

/**
 * Reads a text as YAML's tokens, and stops where it leaves the bounds or the grammar.
 *
 * The parser works on a stack of its own, so depth is seen here before anything recurses; errors end it at once,
 * because collecting them takes minutes for a text that is made of nothing else.
 */
export function* yamlTokens(text: string, lines: LineCounter): Generator<CST.Token, void> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  let tokens = 0;
  for (const source of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > YAML_LIMITS.tokens) throw refuseAt(lines, parser.offset, 'more than can be read', 'some 1,700 lines');
    yield* withoutErrors(parser.next(source), lines);
    if (parser.stack.length > YAML_LIMITS.frames) {
      throw refuseAt(lines, parser.offset, 'maps and lists nested too deep', 'at most 32 levels');
    }
  }
  yield* withoutErrors(parser.end(), lines);
}

function* withoutErrors(tokens: Iterable<CST.Token>, lines: LineCounter): Generator<CST.Token, void> {
  for (const token of tokens) {
    if (token.type === 'error') throw refuseAt(lines, token.offset, 'no YAML from here on', 'YAML 1.2');
    yield token;
  }
}

import { CONTROL, plainText, SEQUENCE, visible } from '../domain/plain-text.ts';

export { plainText };

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const COLOUR = /^(?:\x1b\[|\x9b)[0-9;:]*m$/;

/** The first line of a text of somebody else, harmless as by {@link plainText}. */
export function firstLine(text: string): string {
  return plainText(text.split('\n', 1)[0] ?? '');
}

/** Like {@link plainText}, but keeps colours, which change nothing but the look; they end with the line. */
export function colouredText(text: string): string {
  let isColoured = false;
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    parts.push(text.slice(end, match.index).replace(CONTROL, visible));
    end = match.index + match[0].length;
    if (!COLOUR.test(match[0])) continue;
    isColoured = true;
    parts.push(match[0].replace('\x9b', '\x1b['));
  }
  parts.push(text.slice(end).replace(CONTROL, visible));
  return isColoured ? `${parts.join('')}\x1b[0m` : parts.join('');
}

/** JSON text whose strings hold no character that a terminal obeys; it parses to the same value. */
export function plainJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

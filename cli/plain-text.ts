/**
 * Escape sequences as terminals read them: strings (OSC, DCS, SOS, PM, APC) up to their terminator or the end of the
 * text, control sequences (CSI), and two-character escapes; in their 7-bit and 8-bit forms.
 */
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  /(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|\x1b|$)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?/g;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const COLOUR = /^(?:\x1b\[|\x9b)[0-9;:]*m$/;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Makes text of somebody else harmless on a terminal: one line, without escape sequences or changes of direction.
 *
 * An application's output and names may hold sequences that set the clipboard, the title or the answerback of the
 * terminal. Sequences are dropped, other control characters are shown as visible signs; tabs stay.
 */
export function plainText(text: string): string {
  return text.replace(SEQUENCE, '').replace(CONTROL, visible);
}

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

function visible(sign: string): string {
  const code = sign.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}

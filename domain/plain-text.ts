/**
 * Escape sequences as terminals read them: strings (OSC, DCS, SOS, PM, APC) up to their terminator or the end of the
 * text, control sequences (CSI), and two-character escapes; in their 7-bit and 8-bit forms.
 */
export const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  /(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|\x1b|$)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?/g;

/** Characters that a terminal obeys, or that change the direction of what follows; a tab is none of them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
export const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Makes text of somebody else harmless on a terminal: one line, without escape sequences or changes of direction.
 *
 * An application's output and names may hold sequences that set the clipboard, the title or the answerback of the
 * terminal. Sequences are dropped, other control characters are shown as visible signs; tabs stay.
 */
export function plainText(text: string): string {
  return text.replace(SEQUENCE, '').replace(CONTROL, visible);
}

/** The sign that is shown in place of a control character. */
export function visible(sign: string): string {
  const code = sign.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}

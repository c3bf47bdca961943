const MAX_TOKEN_CHARACTERS = 16 * 1024;

/**
 * Whether a token is spelt in the one canonical way: base64url segments without padding, blanks or unused bits.
 *
 * Decoders are lenient, so a token has at least 19 spellings that verify; refusing all but one makes the string itself
 * usable as a key. An empty segment (as of `alg: none`) is refused too.
 */
export function isCanonicalCompact(token: string, segments: 3 | 5): boolean {
  if (token.length > MAX_TOKEN_CHARACTERS) return false;
  const parts = token.split('.');
  return parts.length === segments && parts.every(isCanonicalBase64Url);
}

function isCanonicalBase64Url(text: string): boolean {
  return text !== '' && Buffer.from(text, 'base64url').toString('base64url') === text;
}

import { createHash } from 'node:crypto';

/**
 * Derives a UUID from a scope, a caller's key and a purpose: every attempt of a request makes the same one, so a
 * repeated call reaches the workflow of the first instead of starting a second.
 *
 * Laid out as a version 8 UUID (RFC 9562, 5.8: custom), made of the first 122 bits of a SHA-256.
 */
export function deriveId(
  scope: string,
  key: string,
  purpose: 'deployment' | 'operation' | 'retention' | 'rotation',
): string {
  const bytes = createHash('sha256')
    .update(JSON.stringify([scope, key, purpose]))
    .digest()
    .subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Hashes what was asked. The caller lists the parts in a fixed order; values of variables only by their keyed hash. */
export function hashRequest(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

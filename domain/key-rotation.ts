/** A data key's place in the order in which a rotation takes them: by organization, then version. */
export interface KeyPosition {
  readonly organizationId: string;
  readonly version: number;
}

/** Data keys that could not be wrapped by another master key. */
export interface RefusedKeys {
  /** The master key that wraps them. */
  readonly masterKeyId: string;
  /** Whether that master key is not there, or it is and they do not open by it. */
  readonly reason: 'missing' | 'damaged';
  readonly count: number;
}

/** What became of some data keys in a row. */
export interface RotationPart {
  readonly rewrapped: number;
  readonly refused: readonly RefusedKeys[];
  /** Behind which data key to go on; `null` when there are no more. */
  readonly next: KeyPosition | null;
}

/** A pass over all data keys that the wanted master key does not wrap, as far as it has come. */
export interface RotationPass {
  readonly after: KeyPosition | null;
  readonly rewrapped: number;
  readonly refused: readonly RefusedKeys[];
}

/** What a rotation does next. */
export type RotationStep =
  | { readonly kind: 'rewrap'; readonly pass: RotationPass }
  | { readonly kind: 'done' }
  | { readonly kind: 'fail'; readonly refused: readonly RefusedKeys[] };

/** A pass that has not begun. */
export const FIRST_PASS: RotationPass = { after: null, rewrapped: 0, refused: [] };

/**
 * Decides how a rotation goes on after a part of a pass.
 *
 * A pass that changed anything is followed by another one: while it went on, processes that still write by an older
 * master key may have made data keys in places that it had passed. So a rotation is done when a whole pass has found
 * nothing, and has failed when a whole pass has found only what it cannot wrap.
 */
export function nextRotationStep(pass: RotationPass, part: RotationPart): RotationStep {
  const { next: after, rewrapped, refused } = addParts(pass, part);
  if (after !== null) return { kind: 'rewrap', pass: { after, rewrapped, refused } };
  if (rewrapped > 0) return { kind: 'rewrap', pass: FIRST_PASS };
  return refused.length === 0 ? { kind: 'done' } : { kind: 'fail', refused };
}

/** Adds what became of data keys to what became of those before them. */
export function addParts(before: Omit<RotationPart, 'next'>, part: RotationPart): RotationPart {
  const counts = new Map<string, RefusedKeys>();
  for (const refused of [...before.refused, ...part.refused]) {
    const key = `${refused.masterKeyId} ${refused.reason}`;
    counts.set(key, { ...refused, count: refused.count + (counts.get(key)?.count ?? 0) });
  }
  return { rewrapped: before.rewrapped + part.rewrapped, refused: [...counts.values()], next: part.next };
}

/** Says which data keys could not be wrapped anew and why: `3 by a1b2c3d4, which is missing`. */
export function describeRefused(refused: readonly RefusedKeys[]): string {
  const why = { missing: 'which is not there', damaged: 'by which they do not open' };
  const groups = refused.map(({ masterKeyId, reason, count }) => `${count} by ${masterKeyId}, ${why[reason]}`);
  return `data keys are still wrapped by other master keys: ${groups.sort().join('; ')}`;
}

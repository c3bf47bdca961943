import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addParts,
  describeRefused,
  FIRST_PASS,
  type KeyPosition,
  nextRotationStep,
  type RefusedKeys,
  type RotationPart,
  type RotationPass,
} from './key-rotation.ts';

/** Data keys in order: by which master key each is wrapped, and whether that can be changed. */
interface FakeKey {
  masterKeyId: 'old' | 'new' | 'lost' | 'odd';
}

const REASON = { lost: 'missing', odd: 'damaged' } as const;

/** Takes some keys in a row, as a batch of the real rotation does. */
function rewrapSome(keys: FakeKey[], after: KeyPosition | null, limit: number): RotationPart {
  const from = after === null ? 0 : after.version + 1;
  const found = keys
    .map((key, version) => ({ key, version }))
    .filter(({ key, version }) => version >= from && key.masterKeyId !== 'new')
    .slice(0, limit);
  let [rewrapped, refused]: [number, RefusedKeys[]] = [0, []];
  for (const { key } of found) {
    const { masterKeyId } = key;
    if (masterKeyId === 'old') {
      key.masterKeyId = 'new';
      rewrapped += 1;
    } else if (masterKeyId !== 'new') {
      const one = { masterKeyId, reason: REASON[masterKeyId], count: 1 };
      refused = [...addParts({ rewrapped: 0, refused }, { rewrapped: 0, refused: [one], next: null }).refused];
    }
  }
  const last = found.at(-1);
  const next = found.length < limit || !last ? null : { organizationId: '', version: last.version };
  return { rewrapped, refused, next };
}

/** Runs a rotation to its end; `meanwhile` is called before each part. */
function rotate(keys: FakeKey[], limit: number, meanwhile: (part: number, pass: RotationPass) => void = () => {}) {
  let pass: RotationPass = FIRST_PASS;
  for (let part = 0; part < 1_000; part += 1) {
    meanwhile(part, pass);
    const step = nextRotationStep(pass, rewrapSome(keys, pass.after, limit));
    if (step.kind !== 'rewrap') return step;
    pass = step.pass;
  }
  throw new Error('it does not end');
}

const aKey = (...ids: FakeKey['masterKeyId'][]) => fc.record({ masterKeyId: fc.constantFrom(...ids) });

describe('a rotation', () => {
  it('is done when every data key is wrapped by the wanted master key, however large its batches', () => {
    fc.assert(
      fc.property(fc.array(aKey('old', 'new'), { maxLength: 40 }), fc.integer({ min: 1, max: 10 }), (keys, limit) => {
        expect(rotate(keys, limit)).toEqual({ kind: 'done' });
        expect(keys.every(({ masterKeyId }) => masterKeyId === 'new')).toBe(true);
      }),
    );
  });

  it('finds what was made by an older master key before its last pass began, wherever it stands', () => {
    const places = fc.array(fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 60 })), { maxLength: 10 });
    fc.assert(
      fc.property(fc.array(aKey('old', 'new'), { minLength: 1, maxLength: 40 }), places, (keys, made) => {
        let madeInLastPass = 0;
        const step = rotate(keys, 3, (part, { after }) => {
          const now = made.filter(([at]) => at === part);
          for (const [, place] of now) keys.splice(place % keys.length, 0, { masterKeyId: 'old' });
          madeInLastPass = after === null ? 0 : madeInLastPass + now.length;
        });
        expect(step).toEqual({ kind: 'done' });
        const left = keys.filter(({ masterKeyId }) => masterKeyId !== 'new').length;
        expect(left).toBeLessThanOrEqual(madeInLastPass);
      }),
    );
  });

  it('wraps all that it can, and then says what it could not, and why', () => {
    fc.assert(
      fc.property(fc.array(aKey('old', 'new', 'lost', 'odd'), { maxLength: 40 }), fc.nat({ max: 9 }), (keys, limit) => {
        const count = (id: string) => keys.filter(({ masterKeyId }) => masterKeyId === id).length;
        const [lost, odd] = [count('lost'), count('odd')];
        const step = rotate(keys, limit + 1);
        expect(count('old')).toBe(0);
        expect(step.kind).toBe(lost + odd === 0 ? 'done' : 'fail');
        const refused = step.kind === 'fail' ? step.refused : [];
        const told = Object.fromEntries(refused.map((one) => [`${one.masterKeyId} ${one.reason}`, one.count]));
        expect(told).toEqual({
          ...(lost > 0 ? { 'lost missing': lost } : {}),
          ...(odd > 0 ? { 'odd damaged': odd } : {}),
        });
      }),
    );
  });

  it('ends after two passes when nobody interferes', () => {
    const keys: FakeKey[] = Array.from({ length: 10 }, () => ({ masterKeyId: 'old' }));
    let parts = 0;
    rotate(keys, 5, () => {
      parts += 1;
    });
    // 5, 5, the empty end of the first pass, and the empty second pass.
    expect(parts).toBe(4);
  });

  it('says in words what it could not wrap', () => {
    const refused: RefusedKeys[] = [
      { masterKeyId: 'deadbeef', reason: 'missing', count: 3 },
      { masterKeyId: 'a1b2c3d4', reason: 'damaged', count: 1 },
    ];
    expect(describeRefused(refused)).toBe(
      'data keys are still wrapped by other master keys: 1 by a1b2c3d4, by which they do not open; 3 by deadbeef, which is not there',
    );
  });
});

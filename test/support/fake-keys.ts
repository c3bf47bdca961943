import { heartbeat } from '@temporalio/activity';
import type { KeyActivities, RewrapInput } from '../../contracts/keys.ts';
import type { OperationFailure } from '../../contracts/rollout.ts';
import { addParts, type RotationPart } from '../../domain/key-rotation.ts';

/** Data keys that one call takes. */
const AT_A_TIME = 3;

/** What a test can make the fake keys do. */
export interface FakeKeysBehaviour {
  /** Called in every part, before it does anything; may throw, wait, or add data keys. */
  onPart?: (input: RewrapInput) => Promise<void>;
}

/** A rotation as it was recorded. */
interface FakeRotation {
  masterKeyId: string;
  state: 'running' | 'succeeded' | 'failed';
  failure: OperationFailure | null;
}

/**
 * Stands for the store of data keys where a test needs to force what the real one cannot be made to do. `dataKeys` says
 * of each which master key wraps it; `lost` is one that nobody has.
 */
export function createFakeKeys(dataKeys: string[], behaviour: FakeKeysBehaviour = {}) {
  const rotations = new Map<string, FakeRotation>();
  const parts: RewrapInput[] = [];
  const keys: KeyActivities = {
    beginRotation: async ({ rotationId, masterKeyId }) => {
      const known = rotations.get(rotationId);
      if (known) return { open: known.state === 'running' };
      rotations.set(rotationId, { masterKeyId, state: 'running', failure: null });
      return { open: true };
    },
    rewrapKeys: async (input) => {
      heartbeat();
      parts.push(input);
      await behaviour.onPart?.(input);
      const from = input.after === null ? 0 : input.after.version + 1;
      const found = dataKeys
        .map((wrappedBy, index) => ({ wrappedBy, index }))
        .filter(({ wrappedBy, index }) => index >= from && wrappedBy !== input.masterKeyId)
        .slice(0, AT_A_TIME);
      let part: RotationPart = { rewrapped: 0, refused: [], next: null };
      for (const { wrappedBy, index } of found) {
        const isLost = wrappedBy === 'lost';
        if (!isLost) dataKeys[index] = input.masterKeyId;
        const refused = isLost ? [{ masterKeyId: 'lost', reason: 'missing' as const, count: 1 }] : [];
        part = addParts(part, { rewrapped: isLost ? 0 : 1, refused, next: null });
      }
      const last = found.length < AT_A_TIME ? undefined : found.at(-1);
      return { ...part, next: last ? { organizationId: '', version: last.index } : null };
    },
    endRotation: async ({ rotationId, failure }) => {
      const known = rotations.get(rotationId);
      if (known) Object.assign(known, { state: failure ? 'failed' : 'succeeded', failure });
    },
  };
  return { keys, dataKeys, rotations, parts };
}

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '../../activities/failures.ts';
import { ROTATION_WORKFLOW_ID } from '../../contracts/keys.ts';
import { DomainError } from '../../domain/errors.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, untilCancelled } from '../support/fake-cluster.ts';
import { createFakeKeys, type FakeKeysBehaviour } from '../support/fake-keys.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

type FakeKeys = ReturnType<typeof createFakeKeys>;

/** Runs the workers over some data keys while `use` runs. */
async function onKeys(
  dataKeys: string[],
  behaviour: FakeKeysBehaviour,
  use: (fake: FakeKeys) => Promise<void>,
): Promise<void> {
  const fake = createFakeKeys(dataKeys, behaviour);
  await rig.withCluster(createFakeCluster(), () => use(fake), fake.keys);
}

function aCall(masterKeyId = 'new') {
  return { rotationId: randomUUID(), masterKeyId, actorUserId: randomUUID() };
}

/** Waits for the workflow's end, and answers with what was recorded of the rotation. */
async function outcomeOf({ rotations }: FakeKeys, rotationId: string) {
  await rig.client.workflow.getHandle(ROTATION_WORKFLOW_ID).result();
  return rotations.get(rotationId);
}

describe('a rotation of the master key', { timeout: 120_000 }, () => {
  it('wraps every data key, and is recorded as done', async () => {
    const old = Array.from({ length: 10 }, () => 'old');
    await onKeys([...old, 'older', 'new'], {}, async (fake) => {
      const { rotationId } = await rig.gateway.rotateKeys(aCall());
      expect(await outcomeOf(fake, rotationId)).toEqual({ masterKeyId: 'new', state: 'succeeded', failure: null });
      expect(new Set(fake.dataKeys)).toEqual(new Set(['new']));
    });
  });

  it('ends at once when there is nothing to do, and when a repeated request finds it ended', async () => {
    await onKeys(['new'], {}, async (fake) => {
      const call = aCall();
      expect(await rig.gateway.rotateKeys(call)).toEqual({ rotationId: call.rotationId });
      await outcomeOf(fake, call.rotationId);
      fake.dataKeys.push('old');
      expect(await rig.gateway.rotateKeys(call)).toEqual({ rotationId: call.rotationId });
      await outcomeOf(fake, call.rotationId);
      expect(fake.parts).toHaveLength(1);
      expect(fake.dataKeys).toEqual(['new', 'old']);
    });
  });

  it('is one, whoever asks while it is under way', async () => {
    const gate = Promise.withResolvers<void>();
    await onKeys(['old', 'old'], { onPart: () => gate.promise }, async (fake) => {
      const calls = [aCall(), aCall(), aCall()];
      const answers = await Promise.all(calls.map((call) => rig.gateway.rotateKeys(call)));
      expect(new Set(answers.map(({ rotationId }) => rotationId)).size).toBe(1);
      gate.resolve();
      await outcomeOf(fake, answers[0]?.rotationId ?? '');
      expect(fake.rotations.size).toBe(1);
    });
  });

  it('finds what is made by an older master key while it goes on', async () => {
    let late = 3;
    const onPart = async (): Promise<void> => {
      if (late > 0) fake?.dataKeys.unshift('old');
      late -= 1;
    };
    let fake: FakeKeys | undefined;
    await onKeys(['old', 'old', 'old', 'old'], { onPart }, async (keys) => {
      fake = keys;
      const { rotationId } = await rig.gateway.rotateKeys(aCall());
      expect(await outcomeOf(keys, rotationId)).toMatchObject({ state: 'succeeded' });
      expect(keys.dataKeys).toEqual(Array.from({ length: 7 }, () => 'new'));
    });
  });

  it('wraps all that it can and fails by naming the master key that is missing', async () => {
    await onKeys(['lost', 'old', 'lost', 'old'], {}, async (fake) => {
      const { rotationId } = await rig.gateway.rotateKeys(aCall());
      const outcome = await outcomeOf(fake, rotationId);
      expect(outcome).toMatchObject({ state: 'failed', failure: { code: 'CONFIGURATION' } });
      expect(outcome?.failure?.message).toContain('2 by lost, which is not there');
      expect(fake.dataKeys).toEqual(['lost', 'new', 'lost', 'new']);
    });
  });

  it('fails at once with the words of an orchestrator that does not have the master key', async () => {
    const onPart = async (): Promise<void> => {
      throw toApplicationFailure(new DomainError('CONFIGURATION', 'this orchestrator has old', { hint: 'Give it.' }));
    };
    await onKeys(['old'], { onPart }, async (fake) => {
      const { rotationId } = await rig.gateway.rotateKeys(aCall());
      const failure = { code: 'CONFIGURATION', message: 'this orchestrator has old', hint: 'Give it.' };
      expect(await outcomeOf(fake, rotationId)).toMatchObject({ state: 'failed', failure });
    });
  });

  it('outlives a database that is away', async () => {
    let failures = 2;
    const onPart = async (): Promise<void> => {
      failures -= 1;
      if (failures >= 0) throw toApplicationFailure(new DomainError('DATABASE_UNAVAILABLE', 'no answer'));
    };
    await onKeys(['old'], { onPart }, async (fake) => {
      const { rotationId } = await rig.gateway.rotateKeys(aCall());
      expect(await outcomeOf(fake, rotationId)).toMatchObject({ state: 'succeeded' });
      expect(fake.dataKeys).toEqual(['new']);
    });
  });

  it('can be cancelled, leaves the rest as it was, and is begun again by the next request', async () => {
    let isHeld = true;
    const onPart = async (): Promise<void> => {
      if (isHeld) await untilCancelled();
    };
    await onKeys(['old'], { onPart }, async (fake) => {
      const { rotationId } = await rig.gateway.rotateKeys(aCall());
      await eventually(() => expect(fake.parts.length).toBeGreaterThan(0));
      await rig.client.workflow.getHandle(ROTATION_WORKFLOW_ID).cancel();
      const cancelled = { state: 'failed', failure: { code: 'CANCELLED' } };
      expect(await outcomeOf(fake, rotationId)).toMatchObject(cancelled);
      expect(fake.dataKeys).toEqual(['old']);
      isHeld = false;
      const again = await rig.gateway.rotateKeys(aCall());
      expect(await outcomeOf(fake, again.rotationId)).toMatchObject({ state: 'succeeded' });
    });
  });
});

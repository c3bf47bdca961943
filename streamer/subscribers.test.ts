import { describe, expect, it } from 'vitest';
import type { Sample } from '../domain/metrics/reading.ts';
import { aSample } from '../test/support/samples.ts';
import { createSubscribers } from './subscribers.ts';

const DEPLOYMENT = aSample().deploymentId;

function open(bufferRounds = 3) {
  let clockMs = 0;
  const subscribers = createSubscribers({
    bufferRounds,
    slowAfterMs: 5_000,
    stuckAfterMs: 60_000,
    keyOf: ({ containerId }: Sample) => containerId,
    monotonic: () => clockMs,
  });
  const leave = new AbortController();
  return {
    subscribers,
    leave,
    subscribe: (replicaIds?: string[], onStuck?: () => void) =>
      subscribers.subscribe(
        { deploymentId: DEPLOYMENT, replicaIds: replicaIds && new Set(replicaIds) },
        leave.signal,
        onStuck,
      ),
    pass: (ms: number) => {
      clockMs += ms;
    },
  };
}

describe('subscribers', () => {
  it('keep one for whom there is nothing, however long that lasts, and tell it so every round', async () => {
    const { subscribers, subscribe, pass } = open();
    const idle = subscribe();
    for (let hour = 0; hour < 24; hour += 1) {
      const next = idle.next();
      pass(3_600_000);
      subscribers.publish([aSample({ deploymentId: 'another' })]);
      expect((await next).value).toMatchObject({ samples: [], missedRounds: 0, wasSlow: false });
      subscribers.sweep();
    }
    expect(subscribers.state()).toEqual({ active: 1, slow: 0, overflows: 0, closed: 0 });
    const next = idle.next();
    subscribers.publish([aSample({ round: 9 })]);
    expect((await next).value).toMatchObject({ samples: [{ round: 9 }], missedRounds: 0 });
  });

  it('keep one who waits while no round comes at all', async () => {
    const { subscribers, subscribe, pass } = open();
    void subscribe().next();
    pass(24 * 3_600_000);
    expect(subscribers.sweep()).toBe(0);
    expect(subscribers.state()).toMatchObject({ active: 1, slow: 0 });
  });

  it('give a slow one the newest values and the number of rounds that it missed, and hold up nobody else', async () => {
    const { subscribers, subscribe, pass } = open();
    const [slow, quick] = [subscribe(), subscribe()];
    for (let round = 1; round <= 10; round += 1) {
      pass(5_000);
      subscribers.publish([aSample({ round })]);
      expect((await quick.next()).value).toMatchObject({ samples: [{ round }], missedRounds: 0 });
    }
    expect(subscribers.state()).toMatchObject({ active: 2, slow: 1 });
    const delivered: number[] = [];
    let [missed, toldSlow] = [0, false];
    while (delivered.at(-1) !== 10) {
      const { value } = await slow.next();
      delivered.push(...(value?.samples.map(({ round }: { round: number }) => round) ?? []));
      missed += value?.missedRounds ?? 0;
      toldSlow ||= value?.wasSlow === true;
    }
    expect(delivered.length + missed).toBe(10);
    expect(delivered.length).toBeLessThanOrEqual(3);
    expect(toldSlow).toBe(true);
    expect(subscribers.state().slow).toBe(0);
  });

  it('give up one that takes nothing, by a reset and by an error, and keep one that is only slow', async () => {
    const { subscribers, subscribe, pass } = open();
    let resets = 0;
    const stuck = subscribe(undefined, () => {
      resets += 1;
    });
    const slow = subscribe();
    for (let round = 1; round <= 13; round += 1) {
      pass(6_000);
      subscribers.publish([aSample({ round })]);
      if (round % 5 === 0) await slow.next();
      subscribers.sweep();
    }
    expect(resets).toBe(1);
    expect(subscribers.state()).toMatchObject({ active: 1, closed: 1 });
    await expect(stuck.next()).rejects.toMatchObject({ code: 'SUBSCRIBER_TOO_SLOW' });
  });

  it('give one only the replicas that it asked for', async () => {
    const { subscribers, subscribe } = open();
    const some = subscribe(['r1-1']);
    subscribers.publish([aSample({ replicaId: 'r1-0' }), aSample({ replicaId: 'r1-1', containerId: 'other' })]);
    expect((await some.next()).value).toMatchObject({ samples: [{ replicaId: 'r1-1' }] });
  });

  it('forget one that leaves, whether it waits or not', async () => {
    const { subscribers, subscribe, leave } = open();
    const waiting = subscribe().next();
    subscribe();
    leave.abort();
    expect((await waiting).done).toBe(true);
    expect(subscribers.state().active).toBe(0);
    subscribers.publish([aSample()]);
  });
});

import { describe, expect, it } from 'vitest';
import { aSample } from '../test/support/samples.ts';
import { createSubscribers } from './subscribers.ts';

const DEPLOYMENT = aSample().deploymentId;

function open(bufferRounds = 3) {
  let clockMs = 0;
  const subscribers = createSubscribers({ bufferRounds, slowAfterMs: 5_000, monotonic: () => clockMs });
  const leave = new AbortController();
  return {
    subscribers,
    leave,
    subscribe: () => subscribers.subscribe(DEPLOYMENT, leave.signal),
    pass: (ms: number) => {
      clockMs += ms;
    },
  };
}

describe('subscribers', () => {
  it('keep one for whom there is nothing, however long that lasts', async () => {
    const { subscribers, subscribe, pass } = open();
    const idle = subscribe();
    const next = idle.next();
    for (let hour = 0; hour < 24; hour += 1) {
      pass(3_600_000);
      subscribers.publish([aSample({ deploymentId: 'another' })]);
    }
    expect(subscribers.state()).toEqual({ active: 1, slow: 0, overflows: 0 });
    subscribers.publish([aSample({ round: 9 })]);
    expect((await next).value).toMatchObject({ samples: [{ round: 9 }], missedRounds: 0 });
  });

  it('give a stuck one the newest values and the number of rounds that it missed, and hold up nobody else', async () => {
    const { subscribers, subscribe, pass } = open();
    const [stuck, quick] = [subscribe(), subscribe()];
    for (let round = 1; round <= 50; round += 1) {
      pass(5_000);
      subscribers.publish([aSample({ round })]);
      expect((await quick.next()).value).toMatchObject({ samples: [{ round }], missedRounds: 0 });
    }
    expect(subscribers.state()).toMatchObject({ active: 2, slow: 1 });
    const delivered: number[] = [];
    let missed = 0;
    while (delivered.at(-1) !== 50) {
      const { value } = await stuck.next();
      delivered.push(...(value?.samples.map(({ round }: { round: number }) => round) ?? []));
      missed += value?.missedRounds ?? 0;
    }
    expect(delivered.length + missed).toBe(50);
    expect(delivered.length).toBeLessThanOrEqual(3);
    expect(subscribers.state().slow).toBe(0);
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

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LEASE_TIMING, type LeaseState, mayChange, NO_LEASE, nextLease } from './node-lease.ts';

const { ttlMs, marginMs } = LEASE_TIMING;

describe('the lease of a node', () => {
  const granted = nextLease(NO_LEASE, { kind: 'granted', epoch: 1, sentAtMs: 100, leaseMs: ttlMs });

  it('allows changes from its first grant until a margin before its end, counted from the request', () => {
    expect(mayChange(NO_LEASE, 0)).toBe(false);
    expect(mayChange(granted, 100)).toBe(true);
    expect(mayChange(granted, 100 + ttlMs - marginMs - 1)).toBe(true);
    expect(mayChange(granted, 100 + ttlMs - marginMs)).toBe(false);
  });

  it('ends at a refusal, and only a higher epoch begins another one', () => {
    const over = nextLease(granted, { kind: 'refused' });
    expect(mayChange(over, 100)).toBe(false);
    const late = nextLease(over, { kind: 'granted', epoch: 1, sentAtMs: 200, leaseMs: ttlMs });
    expect(mayChange(late, 200)).toBe(false);
    expect(mayChange(nextLease(over, { kind: 'granted', epoch: 2, sentAtMs: 200, leaseMs: ttlMs }), 200)).toBe(true);
  });

  it('does not get shorter by an answer that comes late', () => {
    const renewed = nextLease(granted, { kind: 'granted', epoch: 1, sentAtMs: 3_100, leaseMs: ttlMs });
    expect(nextLease(renewed, { kind: 'granted', epoch: 1, sentAtMs: 100, leaseMs: ttlMs })).toEqual(renewed);
  });
});

/** A request of a process: how long it takes there and back, whether the answer is lost, and who asks. */
const call = fc.record({
  process: fc.integer({ min: 0, max: 2 }),
  pauseMs: fc.integer({ min: 0, max: 25_000 }),
  thereMs: fc.integer({ min: 0, max: 20_000 }),
  backMs: fc.integer({ min: 0, max: 20_000 }),
  isLost: fc.boolean(),
  isRelease: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
});

type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

/** A moment at which something happens, in order of time. */
interface Moment {
  readonly at: number;
  happen(): void;
}

/**
 * Three processes with one identity against the rules of the database, with every delay and loss of messages. Clocks of
 * the processes begin anywhere: nothing but the lengths of times may count.
 */
function simulate(calls: readonly Call[], clockStarts: readonly number[]) {
  let row = { epoch: 0, holder: -1, expiresAt: 0 };
  const states: LeaseState[] = [NO_LEASE, NO_LEASE, NO_LEASE];
  const changers = (at: number) =>
    states.flatMap((state, one) => (mayChange(state, at + (clockStarts[one] ?? 0)) ? [one] : []));
  const moments: Moment[] = [];
  const look = (at: number): void => {
    for (const one of changers(at)) {
      // Its own epoch may be higher already in the database: a call that counted as lost has arrived.
      expect(row.holder).toBe(one);
      expect(row.expiresAt).toBeGreaterThan(at);
    }
  };
  let at = 0;
  for (const { process, pauseMs, thereMs, backMs, isLost, isRelease } of calls) {
    at += pauseMs;
    const sentAt = at;
    const update = (event: Parameters<typeof nextLease>[1]): void => {
      states[process] = nextLease(states[process] ?? NO_LEASE, event);
    };
    const arrives = sentAt + thereMs;
    moments.push({
      at: sentAt,
      happen: () => {
        const epoch = states[process]?.epoch ?? 0;
        const isOver = states[process]?.isOver ?? false;
        if (isRelease) update({ kind: 'refused' });
        moments.push({
          at: arrives,
          happen: () => {
            const isHeld = row.holder === process && row.epoch === epoch && row.expiresAt > arrives;
            if (isRelease) {
              if (isHeld) row = { ...row, expiresAt: arrives };
              return;
            }
            const isRenewal = epoch > 0 && !isOver;
            const mayTake = row.expiresAt <= arrives || row.holder === process;
            const isGranted = isRenewal ? isHeld : mayTake;
            if (isGranted) {
              row = { holder: process, epoch: row.epoch + (isRenewal ? 0 : 1), expiresAt: arrives + ttlMs };
            }
            const grantedEpoch = row.epoch;
            if (isLost) return;
            moments.push({
              at: arrives + backMs,
              happen: () => {
                if (!isGranted) update({ kind: 'refused' });
                else {
                  const sentAtMs = sentAt + (clockStarts[process] ?? 0);
                  update({ kind: 'granted', epoch: grantedEpoch, sentAtMs, leaseMs: ttlMs });
                }
              },
            });
          },
        });
      },
    });
  }
  while (moments.length > 0) {
    moments.sort((one, other) => one.at - other.at);
    const next = moments.shift();
    next?.happen();
    if (next) look(next.at);
  }
}

describe('processes with one identity', () => {
  it('never may change something at the same time, nor after the database counts their lease as expired', () => {
    fc.assert(
      fc.property(
        fc.array(call, { maxLength: 40 }),
        fc.array(fc.integer({ min: -1e9, max: 1e9 }), { minLength: 3, maxLength: 3 }),
        simulate,
      ),
      { numRuns: 2_000 },
    );
  });
});

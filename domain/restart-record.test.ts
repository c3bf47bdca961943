import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aContainer } from '../test/support/containers.ts';
import type { ObservedContainer } from './container.ts';
import {
  noteExit,
  noteFailedTry,
  noteOutOfMemory,
  observeRestarts,
  type RestartRecord,
  ranForMs,
} from './restart-record.ts';

const RULES = { stableMs: 60_000 };
const BEGIN = Date.parse('2026-01-01T00:00:00Z');

/** Docker's text for a moment so many seconds into 2026, without trailing zeros, as Docker writes it. */
function at(seconds: number): string {
  return new Date(BEGIN + seconds * 1000).toISOString().replace(/\.?0*Z$/, 'Z');
}

/** Looks one after the other, each at its moment in seconds. */
function observeAll(...looks: readonly (readonly [seconds: number, Partial<ObservedContainer>])[]): RestartRecord {
  let record: RestartRecord | undefined;
  for (const [seconds, container] of looks) {
    record = observeRestarts(record, aContainer('a', container), BEGIN + seconds * 1000, RULES);
  }
  if (!record) throw new Error('nothing was looked at');
  return record;
}

const started = (seconds: number, changes: Partial<ObservedContainer> = {}) =>
  [seconds, { startedAt: at(seconds), ...changes }] as const;
const exited = (from: number, to: number, changes: Partial<ObservedContainer> = {}) =>
  [to, { status: 'exited' as const, startedAt: at(from), finishedAt: at(to), exitCode: 3, ...changes }] as const;

describe('restarts', () => {
  it('are none while a container runs for the first time, or has yet to start', () => {
    expect(
      observeAll([0, { status: 'created', startedAt: null }], started(1), [9, { startedAt: at(1) }]),
    ).toMatchObject({ restarts: 0, streak: 0, exitCode: null, outOfMemory: false });
  });

  it('are counted by start, whoever restarted it', () => {
    const byHand = observeAll(started(0), exited(0, 1), started(2), exited(2, 3), started(4));
    expect(byHand).toMatchObject({ restarts: 2, streak: 2, exitCode: 3 });
    const byDaemon = observeAll(started(0), started(4, { restarts: 3 }), started(9, { restarts: 4 }));
    expect(byDaemon).toMatchObject({ restarts: 4, streak: 4 });
    const both = observeAll(started(0), started(4, { restarts: 3 }), started(9, { restarts: 0 }));
    expect(both).toMatchObject({ restarts: 4, streak: 4 });
  });

  it('count once they are done, not when the daemon plans them', () => {
    const restarting = { status: 'restarting', startedAt: at(0), finishedAt: at(1), exitCode: 3, restarts: 1 } as const;
    expect(observeAll(started(0), [1, restarting])).toMatchObject({ restarts: 0, exitCode: 3 });
    expect(observeAll(started(0), [1, restarting], started(2, { restarts: 1 }))).toMatchObject({ restarts: 1 });
  });

  it('that happened before anybody looked are those that Docker counted', () => {
    expect(observeAll(started(0, { restarts: 7 }))).toMatchObject({ restarts: 7, streak: 7 });
  });

  it('are forgotten as a streak, and kept as a count, after a run that was long enough', () => {
    const crashed = [started(0), exited(0, 1), started(2)] as const;
    expect(observeAll(...crashed, [61, { startedAt: at(2) }])).toMatchObject({ restarts: 1, streak: 1 });
    expect(observeAll(...crashed, [62, { startedAt: at(2) }])).toMatchObject({ restarts: 1, streak: 0 });
    expect(observeAll(...crashed, exited(2, 62))).toMatchObject({ restarts: 1, streak: 0 });
  });

  it('that fail lengthen the streak, however long the run before them was', () => {
    const failed = noteFailedTry(observeAll(started(0), exited(0, 600)), BEGIN + 601_000);
    const [, container] = exited(0, 600);
    const again = observeRestarts(failed, aContainer('a', container), BEGIN + 602_000, RULES);
    expect(again).toMatchObject({ streak: 1, failedTryAtMs: BEGIN + 601_000 });
    const succeeded = observeRestarts(again, aContainer('a', { startedAt: at(603) }), BEGIN + 603_000, RULES);
    expect(succeeded).toMatchObject({ restarts: 1, streak: 2, failedTryAtMs: null });
  });

  it('are the same however often one looks, and whatever comes late', () => {
    const looks = fc.array(
      fc.record({
        startedAt: fc.integer({ min: 0, max: 50 }).map(at),
        finishedAt: fc.integer({ min: 0, max: 50 }).map(at),
        status: fc.constantFrom('running' as const, 'exited' as const, 'restarting' as const),
        exitCode: fc.integer({ min: 0, max: 255 }),
        restarts: fc.nat(5),
        outOfMemory: fc.boolean(),
      }),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(looks, (all) => {
        const record = observeAll(...all.map((look) => [50, look] as const));
        const newest = all.reduce((a, b) => (Date.parse(b.startedAt) >= Date.parse(a.startedAt) ? b : a));
        expect(observeRestarts(record, aContainer('a', newest), BEGIN + 50_000, RULES)).toEqual(record);
        const late = aContainer('a', { ...newest, startedAt: at(-1), restarts: 9 });
        expect(observeRestarts(record, late, BEGIN + 50_000, RULES)).toEqual(record);
      }),
    );
  });
});

describe('an exit', () => {
  const flagged = { outOfMemory: true };

  it('is told with its code and its cause, also once the replica runs again', () => {
    const killed = exited(0, 1, { exitCode: 137, ...flagged });
    expect(observeAll(started(0), killed)).toMatchObject({ exitCode: 137, outOfMemory: true });
    expect(observeAll(started(0), killed, started(2, flagged))).toMatchObject({ exitCode: 137, outOfMemory: true });
  });

  it('is not blamed on memory because an earlier one was: Docker never takes its flag back', () => {
    const looks = [started(0), exited(0, 1, { exitCode: 137, ...flagged }), started(2, flagged)] as const;
    expect(observeAll(...looks, exited(2, 3, { exitCode: 1, ...flagged }))).toMatchObject({ outOfMemory: false });
  });

  it('is known from the event when the daemon was quicker than any look', () => {
    const known = noteExit(observeAll(started(0)), 9);
    expect(known).toMatchObject({ exitCode: 9, outOfMemory: false, restarts: 0 });
    const running = aContainer('a', { startedAt: at(2), restarts: 1 });
    expect(observeRestarts(known, running, BEGIN + 2_000, RULES)).toMatchObject({ exitCode: 9, restarts: 1 });
  });

  it('is blamed on memory when the kernel killed a child, whatever code its parent exits with', () => {
    const told = noteOutOfMemory(observeAll(started(0)));
    expect(told).toMatchObject({ outOfMemory: true, exitCode: null });
    const [, container] = exited(0, 5, { exitCode: 1, ...flagged });
    expect(observeRestarts(told, aContainer('a', container), BEGIN + 5_000, RULES)).toMatchObject({
      outOfMemory: true,
    });
    expect(noteExit(told, 1)).toMatchObject({ exitCode: 1, outOfMemory: true });
  });
});

it('measures a run up to its end, or up to now while it lasts', () => {
  expect(ranForMs(aContainer('a'), BEGIN + 5_000)).toBe(5_000);
  expect(ranForMs(aContainer('a', { status: 'exited', finishedAt: at(2) }), BEGIN + 5_000)).toBe(2_000);
  expect(ranForMs(aContainer('a', { status: 'created', startedAt: null }), BEGIN)).toBe(0);
});

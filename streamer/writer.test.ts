import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openMetricsSpool } from '../adapters/node-files/metrics-spool.ts';
import { DomainError } from '../domain/errors.ts';
import type { MinuteRow } from '../domain/metrics/minutes.ts';
import { type RowBatch, toBatches } from '../domain/metrics/rows.ts';
import { eventually } from '../test/support/eventually.ts';
import type { Spool } from './checkpoint.ts';
import { createTargets } from './targets.ts';
import { createRowWriter } from './writer.ts';

const AWAY = new DomainError('DATABASE_UNAVAILABLE', 'the database does not answer');
const REFUSED = new DomainError('INVALID_ARGUMENT', 'rows were refused');

function batches(count: number, first = 0): readonly RowBatch[] {
  const rows = Array.from({ length: count }, (_, index) => ({ minuteMs: first + index }) as MinuteRow);
  return toBatches({ kind: 'container', rows }, 10);
}

/** A database that keeps each row once, and is away or refuses when it is told to. */
function aDatabase() {
  const stored = new Set<number>();
  const order: number[] = [];
  const database = {
    ...{ stored, order, isAway: false, calls: 0, refuses: (_: number): boolean => false },
    insertRows: async (batch: RowBatch) => {
      database.calls += 1;
      if (database.isAway) throw AWAY;
      if (batch.rows.some(({ minuteMs }) => database.refuses(minuteMs))) throw REFUSED;
      const fresh = batch.rows.filter(({ minuteMs }) => !stored.has(minuteMs));
      for (const { minuteMs } of fresh) stored.add(minuteMs);
      order.push(...fresh.map(({ minuteMs }) => minuteMs));
      return fresh.length;
    },
    probe: async () => {
      if (database.isAway) throw AWAY;
    },
  };
  return database;
}

describe('the writer', () => {
  let folder: string;
  const stops: (() => Promise<void>)[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'obiente-writer-'));
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function openSpool(maxBytes = 10_000_000): Spool {
    const fail = (error: unknown) => {
      throw error;
    };
    return openMetricsSpool({
      ...{ path: join(folder, 'spool.db'), formerFile: join(folder, 'former.json'), maxBytes },
      ...{ now: Date.now, onUnusable: fail, onDropped: () => undefined },
    });
  }

  function start(
    changes: {
      primary?: ReturnType<typeof aDatabase>;
      fallback?: ReturnType<typeof aDatabase>;
      spool?: Spool;
      maxBatches?: number;
      drainRowsPerSecond?: number;
    } = {},
  ) {
    const { primary = aDatabase(), fallback, spool = openSpool() } = changes;
    const [lost, unkept, switched] = [vi.fn(), vi.fn(), vi.fn()];
    const pauses = { firstPauseMs: 1, longestPauseMs: 4, random: () => 0.5 };
    const targets = createTargets({ primary, ...(fallback ? { fallback } : {}), ...pauses });
    targets.onSwitch(switched);
    const writer = createRowWriter({
      ...{ targets, spool, maxBatches: 100, maxAttempts: 3, drainRowsPerSecond: 1_000_000 },
      ...{ onLost: lost, onUnkept: unkept },
      ...changes,
    });
    const stopping = new AbortController();
    const running = writer.run(stopping.signal);
    const stop = async (): Promise<void> => {
      stopping.abort();
      await running;
      writer.close();
    };
    stops.push(stop);
    const end = async (): Promise<void> => {
      stops.splice(stops.indexOf(stop), 1);
      await stop();
    };
    return { writer, primary, lost, unkept, switched, end };
  }

  it('writes in batches, oldest first, and leaves nothing behind', async () => {
    const { writer, primary } = start();
    writer.keep(batches(25));
    await writer.flush(AbortSignal.timeout(5_000));
    expect(primary.order).toEqual(Array.from({ length: 25 }, (_, index) => index));
    expect(writer.counts()).toMatchObject({ batchesWritten: 3, rowsWritten: 25, retryQueue: 0 });
    expect(writer.storage(Date.now())).toEqual({
      ...{ metricsTarget: 'primary', spoolRows: 0, spoolBytes: 0, spoolAgeSeconds: null, rowsDropped: 0 },
    });
  });

  it('keeps rows of an outage over the death of its process, and writes each of them once', async () => {
    const primary = aDatabase();
    primary.isAway = true;
    const first = start({ primary });
    for (let minute = 0; minute < 60; minute += 1) first.writer.keep(batches(20, minute * 20));
    await first.writer.flush(AbortSignal.timeout(5_000));
    await eventually(() => expect(first.writer.storage(Date.now()).metricsTarget).toBe('spool'));
    expect(first.writer.storage(Date.now())).toMatchObject({ spoolRows: 1_200, rowsDropped: 0 });
    // Killed: nothing is told to it, and the next one opens the same file.
    const next = start({ primary, spool: openSpool() });
    expect(next.writer.counts().retryQueue).toBe(120);
    primary.isAway = false;
    await eventually(() => expect(next.writer.storage(Date.now()).spoolRows).toBe(0));
    expect(primary.order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1_200 }, (_, index) => index));
    expect(next.lost).not.toHaveBeenCalled();
  });

  it('writes what comes now before what has waited, and that at a bounded rate', async () => {
    const primary = aDatabase();
    primary.isAway = true;
    const { writer } = start({ primary, drainRowsPerSecond: 200 });
    writer.keep(batches(60));
    await eventually(() => expect(writer.storage(Date.now()).metricsTarget).toBe('spool'));
    primary.isAway = false;
    await eventually(() => expect(primary.stored.size).toBeGreaterThan(0));
    const begunMs = performance.now();
    writer.keep(batches(10, 1_000));
    await eventually(() => expect(primary.stored.has(1_000)).toBe(true), { everyMs: 1 });
    expect(primary.stored.size).toBeLessThan(60);
    await eventually(() => expect(primary.stored.size).toBe(70));
    expect(performance.now() - begunMs).toBeGreaterThan(150);
    expect(primary.order.filter((minute) => minute < 1_000)).toEqual(Array.from({ length: 60 }, (_, index) => index));
  });

  it('turns to the stand-in after three failures, and back after three answers', async () => {
    const [primary, fallback] = [aDatabase(), aDatabase()];
    const { writer, switched } = start({ primary, fallback });
    primary.isAway = true;
    writer.keep(batches(50));
    await eventually(() => expect(fallback.stored.size).toBe(50));
    expect(writer.storage(Date.now())).toMatchObject({ metricsTarget: 'fallback', spoolRows: 0 });
    expect(primary.calls).toBe(3);
    fallback.isAway = true;
    writer.keep(batches(10, 100));
    await eventually(() => expect(writer.storage(Date.now()).metricsTarget).toBe('spool'));
    primary.isAway = false;
    await eventually(() => expect(primary.stored.size).toBe(10));
    expect(switched.mock.calls).toEqual([
      ['fallback', 'primary'],
      ['spool', 'fallback'],
      ['primary', 'spool'],
    ]);
  });

  it('gives up the one row that is refused, and none beside it', async () => {
    const { writer, primary, lost } = start();
    primary.refuses = (minute) => minute === 17;
    writer.keep(batches(30));
    await eventually(() => expect(primary.stored.size).toBe(29));
    await eventually(() => expect(lost).toHaveBeenCalledExactlyOnceWith(1, REFUSED));
    expect(writer.storage(Date.now())).toMatchObject({ metricsTarget: 'primary', spoolRows: 0, rowsDropped: 1 });
  });

  it('gives up the oldest rows of containers when there is no room, and counts them', async () => {
    const primary = aDatabase();
    primary.isAway = true;
    const { writer } = start({ primary, spool: openSpool(1_000) });
    writer.keep([{ kind: 'node', rows: [{ minuteMs: 1 } as never] }]);
    for (let minute = 0; minute < 50; minute += 1) writer.keep(batches(10, 100 + minute * 10));
    await eventually(() => expect(writer.storage(Date.now()).metricsTarget).toBe('spool'));
    const { spoolRows, spoolBytes, rowsDropped } = writer.storage(Date.now());
    expect(spoolBytes).toBeLessThanOrEqual(1_000);
    expect(spoolRows + rowsDropped).toBe(501);
    primary.isAway = false;
    await eventually(() => expect(writer.storage(Date.now()).spoolRows).toBe(0));
    expect(primary.stored.has(1)).toBe(true);
    expect(primary.stored.has(100)).toBe(false);
    expect(primary.stored.has(599)).toBe(true);
  });

  it('goes on in memory, bounded, when the disk takes nothing', async () => {
    const primary = aDatabase();
    const spool = openSpool();
    const full = () => {
      throw new Error('no space left on device');
    };
    primary.isAway = true;
    const { writer, lost, unkept } = start({ primary, spool: { ...spool, keep: full }, maxBatches: 2 });
    writer.keep(batches(30));
    expect(unkept).toHaveBeenCalledOnce();
    expect(lost).toHaveBeenCalledExactlyOnceWith(10, 'the queue is full');
    primary.isAway = false;
    await eventually(() => expect([...primary.stored].sort((a, b) => a - b)[0]).toBe(10));
    await eventually(() => expect(primary.stored.size).toBe(20));
  });
});

import { describe, expect, it, vi } from 'vitest';
import { DomainError } from '../domain/errors.ts';
import type { MinuteRow } from '../domain/metrics/minutes.ts';
import { eventually } from '../test/support/eventually.ts';
import { createRowWriter } from './writer.ts';

function rows(count: number): MinuteRow[] {
  return Array.from({ length: count }, (_, minuteMs) => ({ minuteMs }) as MinuteRow);
}

function open(insertRows: (rows: readonly MinuteRow[]) => Promise<void>, changes: { maxBatches?: number } = {}) {
  const stopping = new AbortController();
  const lost = vi.fn();
  const writer = createRowWriter({
    store: {
      insertRows: async (batch) => {
        await insertRows(batch.rows as readonly MinuteRow[]);
        return batch.rows.length;
      },
      probe: async () => undefined,
    },
    batchRows: 10,
    maxBatches: 100,
    maxAttempts: 3,
    firstPauseMs: 1,
    longestPauseMs: 2,
    random: () => 0.5,
    onLost: lost,
    ...changes,
  });
  const running = writer.run(stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
  };
  return { writer, lost, stop };
}

describe('the writer', () => {
  it('writes in batches, oldest first', async () => {
    const written: number[] = [];
    const { writer, stop } = open(async (batch) => void written.push(batch.length));
    writer.enqueue(rows(25));
    await writer.flush(AbortSignal.timeout(5_000));
    await stop();
    expect(written).toEqual([10, 10, 5]);
    expect(writer.counts()).toMatchObject({ batchesWritten: 3, rowsWritten: 25, retries: 0, retryQueue: 0 });
  });

  it('tries again until the database is back, and loses nothing', async () => {
    let isAway = true;
    const { writer, lost, stop } = open(async () => {
      if (isAway) throw new DomainError('DATABASE_UNAVAILABLE', 'the database does not answer');
    });
    writer.enqueue(rows(20));
    await eventually(() => expect(writer.counts().batchesFailed).toBeGreaterThan(10));
    expect(writer.counts()).toMatchObject({ retryQueue: 2, rowsWritten: 0 });
    expect(writer.pending()).toHaveLength(20);
    isAway = false;
    await writer.flush(AbortSignal.timeout(5_000));
    await stop();
    expect(lost).not.toHaveBeenCalled();
    expect(writer.counts()).toMatchObject({ rowsWritten: 20, retriesWritten: 1, retryQueue: 0 });
  });

  it('gives up a batch that the database refuses for good, and goes on with the next', async () => {
    const { writer, lost, stop } = open(async ([first]) => {
      if (first?.minuteMs === 0) throw new Error('violates a check');
    });
    writer.enqueue(rows(20));
    await writer.flush(AbortSignal.timeout(5_000));
    await stop();
    expect(lost).toHaveBeenCalledExactlyOnceWith(10, expect.any(Error));
    expect(writer.counts()).toMatchObject({ rowsWritten: 10, rowsLost: 10, batchesFailed: 3 });
  });

  it('never holds more than its bound, and says what it gives up', async () => {
    const { writer, lost, stop } = open(() => new Promise<void>(() => undefined), { maxBatches: 2 });
    writer.enqueue(rows(50));
    expect(writer.pending()).toHaveLength(20);
    expect(lost).toHaveBeenCalledTimes(3);
    expect(writer.counts().rowsLost).toBe(30);
    void stop();
  });
});

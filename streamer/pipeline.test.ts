import { describe, expect, it } from 'vitest';
import type { MinuteRow } from '../domain/metrics/minutes.ts';
import { eventually } from '../test/support/eventually.ts';
import { aSample, evenCounters } from '../test/support/samples.ts';
import type { Checkpoint } from './checkpoint.ts';
import { createLiveCache } from './live-cache.ts';
import { createMinuteAggregator } from './minute-aggregator.ts';
import { createObserver } from './observability.ts';
import { type Pipeline, startPipeline } from './pipeline.ts';
import { SYSTEM_CLOCK } from './ports.ts';
import { createSubscribers } from './subscribers.ts';
import { createRowWriter } from './writer.ts';

const MINUTE_MS = 15;
const CONTAINER = aSample();
const RUNNING = new Map([[CONTAINER.containerId, { ...CONTAINER, id: CONTAINER.containerId, pid: 1, startedAt: '' }]]);

/** A container whose counters only rise, a database and a disk: what outlives a streamer. */
function createWorld() {
  const startedAtMs = Date.now();
  return { startedAtMs, counted: 0, rows: new Map<string, MinuteRow>(), file: undefined as Checkpoint | undefined };
}

type World = ReturnType<typeof createWorld>;

/** A process: from `crash` on nothing that it does reaches the world. */
function startProcess(world: World) {
  let hasCrashed = false;
  let round = 0;
  const never = new Promise<never>(() => undefined);
  const writer = createRowWriter({
    store: {
      probe: async () => undefined,
      insertRows: async (batch) => {
        if (hasCrashed) return await never;
        for (const row of batch.rows as readonly MinuteRow[]) {
          const key = `${row.containerId} ${row.minuteMs}`;
          if (!world.rows.has(key)) world.rows.set(key, row);
        }
        // The answer may be lost though the rows are there.
        await new Promise((resolve) => setImmediate(resolve));
        if (hasCrashed) await never;
        return batch.rows.length;
      },
    },
    ...{ batchRows: 2, maxBatches: 1_000, maxAttempts: 5, firstPauseMs: 1, longestPauseMs: 2 },
    random: () => 0.5,
    onLost: () => undefined,
  });
  const { state, pending } = world.file ?? { state: { knownSinceMs: world.startedAtMs, open: [] }, pending: [] };
  const aggregator = createMinuteAggregator({
    ...{ minuteMs: MINUTE_MS, maxContainers: 10, restored: state },
    now: SYSTEM_CLOCK.now,
  });
  const cache = createLiveCache({ retentionMs: 1_000, intervalMs: 1, maxPerDeployment: 100 });
  const subscribers = createSubscribers({ bufferRounds: 5, slowAfterMs: 100, monotonic: SYSTEM_CLOCK.monotonic });
  const health = {
    check: async () => undefined,
    current: () => ({ healthy: true, consecutiveFailures: 0, checkedAtMs: null, problems: [], notices: [] }),
    stop: () => undefined,
  };
  const observer = createObserver({
    writer: writer.counts,
    subscribers: subscribers.state,
    liveSamples: cache.size,
    rememberedReadings: aggregator.size,
    breaker: () => ({ kind: 'closed', failures: 0 }),
    health: health.current,
    now: SYSTEM_CLOCK.now,
  });
  writer.enqueue(pending);
  const stages = {
    ...{ aggregator, cache, subscribers, writer, health, observer },
    // In its first round a process knows nothing of what runs yet.
    discovery: {
      containers: () => (round === 0 ? new Map() : RUNNING),
      isSettled: () => round > 0,
      run: async () => undefined,
    },
    sampler: {
      readRound: async (containers: ReadonlyMap<string, unknown>) => {
        if (hasCrashed) return await never;
        round += 1;
        world.counted += 7;
        const [atMs, startedAtMs] = [Date.now(), world.startedAtMs];
        const sample = aSample({ round, atMs, startedAtMs, counters: evenCounters(world.counted) });
        return { number: round, samples: containers.size === 0 ? [] : [sample], failed: 0 };
      },
      close: () => undefined,
    },
    checkpoints: {
      load: async () => world.file,
      save: async (checkpoint: Checkpoint) => {
        if (hasCrashed) return await never;
        await new Promise((resolve) => setImmediate(resolve));
        if (!hasCrashed) world.file = structuredClone(checkpoint);
      },
    },
  };
  const pipeline: Pipeline = startPipeline(stages, {
    ...{ intervalMs: 2, healthIntervalMs: 1_000, flushMs: 5_000, clock: SYSTEM_CLOCK },
    onTrouble: (_, error) => {
      throw error;
    },
  });
  const crash = (): void => {
    hasCrashed = true;
  };
  return { pipeline, crash, snapshot: observer.snapshot };
}

function stored(world: World): number {
  return [...world.rows.values()].reduce((sum, row) => sum + row.cpuNanos, 0);
}

describe('the pipeline', () => {
  it('counts everything once, over crashes at any moment and an orderly stop', async () => {
    const world = createWorld();
    for (let life = 0; life < 25; life += 1) {
      const { crash, snapshot } = startProcess(world);
      const rounds = 1 + ((life * 7) % 23);
      await eventually(() => expect(snapshot().collection_count).toBeGreaterThanOrEqual(rounds), { everyMs: 1 });
      crash();
    }
    const last = startProcess(world);
    await eventually(() => expect(last.snapshot().storage_metrics_written).toBeGreaterThan(3));
    await last.pipeline.stop();
    const open = world.file?.state.open[0];
    expect(world.file?.pending).toEqual([]);
    expect(stored(world) + (open?.used.cpuNanos ?? 0)).toBe(world.counted);
  });
});

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openMetricsSpool } from '../adapters/node-files/metrics-spool.ts';
import type { MinuteRow } from '../domain/metrics/minutes.ts';
import type { NodeMinuteRow, NodeReading } from '../domain/metrics/node-minutes.ts';
import type { Sample } from '../domain/metrics/reading.ts';
import type { RowBatch } from '../domain/metrics/rows.ts';
import { eventually } from '../test/support/eventually.ts';
import { aSample, evenCounters } from '../test/support/samples.ts';
import { createLiveCache } from './live-cache.ts';
import { createMinuteAggregator } from './minute-aggregator.ts';
import { createNodeTotals } from './node-totals.ts';
import { createObserver } from './observability.ts';
import { createPace } from './pace.ts';
import { type Pipeline, startPipeline } from './pipeline.ts';
import { SYSTEM_CLOCK } from './ports.ts';
import { createSubscribers } from './subscribers.ts';
import { createTargets } from './targets.ts';
import { createRowWriter } from './writer.ts';

const MINUTE_MS = 15;
const CONTAINER = aSample();
const RUNNING = new Map([[CONTAINER.containerId, { ...CONTAINER, id: CONTAINER.containerId, pid: 1, startedAt: '' }]]);

/** A container whose counters only rise, a database and a disk: what outlives a streamer. */
function createWorld() {
  const startedAtMs = Date.now();
  const folder = mkdtempSync(join(tmpdir(), 'obiente-pipeline-'));
  const [rows, nodeRows] = [new Map<string, MinuteRow>(), new Map<string, NodeMinuteRow>()];
  return { startedAtMs, counted: 0, rows, nodeRows, folder };
}

type World = ReturnType<typeof createWorld>;

/** A row that is there already stays as it is. */
function keepFirst<Row>(rows: Map<string, Row>, key: string, row: Row): void {
  if (!rows.has(key)) rows.set(key, row);
}

function aNodeReading({ counted }: World): NodeReading {
  return {
    incarnation: 'boot',
    atMs: Date.now(),
    counters: {
      cpuBusyNanos: counted,
      cpuTotalNanos: 2 * counted,
      pressureCpuMicros: null,
      pressureMemoryMicros: null,
      pressureIoMicros: null,
    },
    ...{ memoryUsedBytes: 5, memoryTotalBytes: 9, diskUsedBytes: 1, diskTotalBytes: 2, load1Hundredths: 3 },
  };
}

function fail(reason: unknown): never {
  throw reason;
}

/** A process: from `crash` on nothing that it does reaches the world. */
function startProcess(world: World) {
  let hasCrashed = false;
  let round = 0;
  const never = new Promise<never>(() => undefined);
  const spool = openMetricsSpool({
    ...{ path: join(world.folder, 'spool.db'), formerFile: join(world.folder, 'none'), maxBytes: 10_000_000 },
    ...{ now: Date.now, onUnusable: fail, onDropped: fail },
  });
  const insertRows = async (batch: RowBatch) => {
    if (hasCrashed) return await never;
    if (batch.kind === 'container') {
      for (const row of batch.rows) keepFirst(world.rows, `${row.containerId} ${row.minuteMs}`, row);
    }
    if (batch.kind === 'node') for (const row of batch.rows) keepFirst(world.nodeRows, `${row.minuteMs}`, row);
    // The answer may be lost though the rows are there.
    await new Promise((resolve) => setImmediate(resolve));
    return hasCrashed ? await never : batch.rows.length;
  };
  const pauses = { firstPauseMs: 1, longestPauseMs: 2, random: () => 0.5 };
  const writer = createRowWriter({
    targets: createTargets({ primary: { insertRows, probe: async () => undefined }, ...pauses }),
    spool: {
      ...spool,
      // What has been killed reaches no disk.
      keep: (...kept) => (hasCrashed ? fail(new Error('killed')) : spool.keep(...kept)),
    },
    ...{ maxBatches: 1_000, maxAttempts: 5, drainRowsPerSecond: 1_000_000, onLost: fail },
    onUnkept: (error) => hasCrashed || fail(error),
  });
  const aggregator = createMinuteAggregator({
    ...{ minuteMs: MINUTE_MS, maxContainers: 10 },
    restored: spool.state() ?? { knownSinceMs: world.startedAtMs, open: [] },
    now: SYSTEM_CLOCK.now,
  });
  const nodeTotals = createNodeTotals({
    source: { read: () => aNodeReading(world), close: () => undefined },
    ...{ nodeId: () => 'node', minuteMs: MINUTE_MS, restored: spool.state()?.node },
  });
  const cache = createLiveCache({ retentionMs: 1_000, intervalMs: 1, maxPerDeployment: 100 });
  const subscribers = createSubscribers<Sample>({
    ...{ bufferRounds: 5, slowAfterMs: 100, stuckAfterMs: 60_000, monotonic: SYSTEM_CLOCK.monotonic },
    keyOf: ({ containerId }) => containerId,
  });
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
    pace: { level: () => 0, intervalMs: () => 2 },
    storage: () => writer.storage(SYSTEM_CLOCK.now()),
    now: SYSTEM_CLOCK.now,
  });
  const stages = {
    ...{ aggregator, cache, subscribers, writer, health, observer, nodeTotals },
    pace: createPace({
      normalMs: 2,
      gauge: { take: () => ({ loopLagMs: 0, memoryShare: 0 }), close: () => undefined },
    }),
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
        return { number: round, samples: containers.size === 0 ? [] : [sample], failed: 0, readMs: 1, unbegun: 0 };
      },
      close: () => undefined,
    },
  };
  const pipeline: Pipeline = startPipeline(stages, {
    ...{ healthIntervalMs: 1_000, batchRows: 2, flushMs: 5_000, clock: SYSTEM_CLOCK },
    onTrouble: (_, error) => hasCrashed || fail(error),
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
    await eventually(() => {
      const { storage_metrics_written, retry_queue_size } = last.snapshot();
      expect(storage_metrics_written).toBeGreaterThan(3);
      expect(retry_queue_size).toBe(0);
    });
    await last.pipeline.stop();
    const spool = openMetricsSpool({
      ...{ path: join(world.folder, 'spool.db'), formerFile: join(world.folder, 'none'), maxBytes: 10_000_000 },
      ...{ now: Date.now, onUnusable: fail, onDropped: fail },
    });
    const open = spool.state()?.open[0];
    expect(spool.size().rows).toBe(0);
    expect(stored(world) + (open?.used.cpuNanos ?? 0)).toBe(world.counted);
    const ofNode = [...world.nodeRows.values()].reduce((sum, row) => sum + row.cpuBusyNanos, 0);
    expect(ofNode).toBeGreaterThan(0);
    expect(ofNode + (spool.state()?.node?.used.cpuBusyNanos ?? 0)).toBeLessThan(world.counted);
    spool.close();
  });
});

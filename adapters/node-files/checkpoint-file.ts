import { z } from 'zod';
import { COUNTER_NAMES } from '../../domain/metrics/counters.ts';
import type { MinuteRow } from '../../domain/metrics/minutes.ts';
import type { Counters } from '../../domain/metrics/reading.ts';
import type { AggregatorState } from '../../streamer/minute-aggregator.ts';

const count = z.number().nonnegative();
/** Counters that an older version did not keep count from the next reading on. */
const levels = z.object(perCounter(count.optional())).transform(withoutMissing);
/** And in what has been added up there is nothing of them. */
const sums = perCounter(count.default(0));
const minute = z.object({
  containerId: z.string(),
  deploymentId: z.string(),
  replicaId: z.string(),
  minuteMs: z.number(),
  memoryMaxBytes: count,
  memoryLimitBytes: count.default(0),
  pageCacheBytes: count.default(0),
  pidsMax: count.default(0),
  observedMs: count.default(0),
  samples: count,
});
const openMinute = minute
  .extend({
    incarnation: z.string(),
    source: z.enum(['cgroup', 'docker']),
    counters: levels,
    seen: levels.optional(),
    used: z.object(sums),
    memorySumBytes: count,
    atMs: z.number().optional(),
  })
  // The clock of another process says nothing to this one.
  .transform((open) => ({
    ...open,
    seen: open.seen ?? open.counters,
    atMs: open.atMs ?? open.minuteMs,
    clockMs: null,
  }));
const pressure = count.nullable();
const nodeCounters = z.object({
  cpuBusyNanos: count,
  cpuTotalNanos: count,
  pressureCpuMicros: pressure,
  pressureMemoryMicros: pressure,
  pressureIoMicros: pressure,
});
const openNodeMinute = z.object({
  minuteMs: z.number(),
  last: z.object({
    incarnation: z.string(),
    atMs: z.number(),
    counters: nodeCounters,
    memoryUsedBytes: count,
    memoryTotalBytes: count,
    diskUsedBytes: count,
    diskTotalBytes: count,
    load1Hundredths: count,
  }),
  used: nodeCounters,
  memorySumBytes: count,
  loadSumHundredths: count,
  samples: count,
});
const checkpoint = z.object({
  version: z.literal(1),
  state: z.object({ knownSinceMs: z.number(), open: z.array(openMinute), node: openNodeMinute.optional() }),
  pending: z.array(minute.extend({ ...sums, memoryAverageBytes: count })),
});

/** What a streamer left to the next one on its node; rows have a place of their own in the spool by now. */
export interface Checkpoint {
  readonly state: AggregatorState;
  readonly pending: readonly MinuteRow[];
}

/** Reads a checkpoint, of this version or the one before. @throws what is wrong with it. */
export function parseCheckpoint(text: string): Checkpoint {
  const { state, pending } = checkpoint.parse(JSON.parse(text));
  return { state, pending };
}

function perCounter<Schema>(schema: Schema): Record<keyof Counters, Schema> {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, schema])) as Record<keyof Counters, Schema>;
}

function withoutMissing(found: Partial<Record<keyof Counters, number | undefined>>): Partial<Counters> {
  return Object.fromEntries(Object.entries(found).filter(([, level]) => level !== undefined));
}

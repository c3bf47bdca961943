import { z } from 'zod';
import { COUNTER_NAMES } from '../../domain/metrics/counters.ts';
import type { Counters } from '../../domain/metrics/reading.ts';
import type { Checkpoint, CheckpointStore } from '../../streamer/checkpoint.ts';
import { findFile, writePrivateFile } from '../files/private-file.ts';

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
const checkpoint = z.object({
  version: z.literal(1),
  state: z.object({ knownSinceMs: z.number(), open: z.array(openMinute) }),
  pending: z.array(minute.extend({ ...sums, memoryAverageBytes: count })),
});

/**
 * Keeps the checkpoint in one file, replaced as a whole: a crash leaves the old one or the new one.
 *
 * @param onUnusable told when there is a file that cannot be read; it counts as none.
 */
export function createCheckpointFile(path: string, onUnusable: (reason: unknown) => void): CheckpointStore {
  return {
    load: async () => {
      const text = await findFile(path);
      if (text === undefined) return undefined;
      try {
        const { state, pending } = checkpoint.parse(JSON.parse(text));
        return { state, pending };
      } catch (error) {
        onUnusable(error);
        return undefined;
      }
    },
    save: (kept: Checkpoint) => writePrivateFile(path, JSON.stringify({ version: 1, ...kept })),
  };
}

function perCounter<Schema>(schema: Schema): Record<keyof Counters, Schema> {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, schema])) as Record<keyof Counters, Schema>;
}

function withoutMissing(found: Partial<Record<keyof Counters, number | undefined>>): Partial<Counters> {
  return Object.fromEntries(Object.entries(found).filter(([, level]) => level !== undefined));
}

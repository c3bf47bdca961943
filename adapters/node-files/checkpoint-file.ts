import { z } from 'zod';
import type { Checkpoint, CheckpointStore } from '../../streamer/checkpoint.ts';
import { findFile, writePrivateFile } from '../files/private-file.ts';

const count = z.number().nonnegative();
const counters = z.object({
  cpuNanos: count,
  networkReceiveBytes: count,
  networkTransmitBytes: count,
  diskReadBytes: count,
  diskWriteBytes: count,
});
const minute = z.object({
  containerId: z.string(),
  deploymentId: z.string(),
  replicaId: z.string(),
  minuteMs: z.number(),
  memoryMaxBytes: count,
  samples: count,
});
const checkpoint = z.object({
  version: z.literal(1),
  state: z.object({
    knownSinceMs: z.number(),
    open: z.array(
      minute.extend({
        incarnation: z.string(),
        source: z.enum(['cgroup', 'docker']),
        counters,
        used: counters,
        memorySumBytes: count,
      }),
    ),
  }),
  pending: z.array(minute.extend({ ...counters.shape, memoryAverageBytes: count })),
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

import { z } from 'zod';
import { LATENCY_BOUNDS_MS, NO_REQUESTS, REQUEST_COUNTS, type RequestCounters } from '../../domain/metrics/requests.ts';
import type { RequestStateStore } from '../../streamer/request-collector.ts';
import { findFile, writePrivateFile } from '../files/private-file.ts';

const count = z.number().nonnegative();
const counters = z.object({
  ...(Object.fromEntries(REQUEST_COUNTS.map((name) => [name, count])) as Record<
    (typeof REQUEST_COUNTS)[number],
    typeof count
  >),
  latencyBuckets: z.array(count).length(NO_REQUESTS.latencyBuckets.length),
});
const named = z.array(z.tuple([z.string(), counters]));
const kept = z.object({
  version: z.literal(1),
  /** Counters by other bounds cannot be counted on from. */
  boundsMs: z.literal(LATENCY_BOUNDS_MS.join()),
  startedAtMs: z.number(),
  services: named,
  minuteMs: z.number(),
  open: named,
  rows: z.array(counters.extend({ deploymentId: z.uuid(), nodeId: z.string(), minuteMs: z.number() })),
});

/**
 * Keeps what the counting of requests goes on from in one file, replaced as a whole.
 *
 * @param onUnusable told when there is a file that cannot be read; it counts as none.
 */
export function createRequestStateFile(path: string, onUnusable: (reason: unknown) => void): RequestStateStore {
  return {
    load: async () => {
      const text = await findFile(path);
      if (text === undefined) return undefined;
      try {
        const { version: _, boundsMs: __, ...state } = kept.parse(JSON.parse(text));
        return { ...state, services: state.services satisfies [string, RequestCounters][] };
      } catch (error) {
        onUnusable(error);
        return undefined;
      }
    },
    save: (state) =>
      writePrivateFile(path, JSON.stringify({ version: 1, boundsMs: LATENCY_BOUNDS_MS.join(), ...state })),
  };
}

import type { Steps } from './query.ts';
import { addRequests, type RequestCounters } from './requests.ts';

/** Requests in one minute at one ingress. */
export interface RequestRow extends RequestCounters {
  readonly atMs: number;
}

/** One step; `null` is a gap: no ingress told anything of it. */
export interface RequestStep {
  readonly atMs: number;
  readonly counters: RequestCounters | null;
}

/** Adds up what all ingresses counted, step by step. Counts add, so a step of any length is exact. */
export function drawRequests(rows: readonly RequestRow[], steps: Steps): readonly RequestStep[] {
  const sums = new Map<number, RequestCounters>();
  for (const { atMs, ...counters } of rows) {
    const index = Math.floor((atMs - steps.startMs) / steps.stepMs);
    const known = sums.get(index);
    sums.set(index, known ? addRequests(known, counters) : counters);
  }
  return Array.from({ length: steps.count }, (_, index) => ({
    atMs: steps.startMs + index * steps.stepMs,
    counters: sums.get(index) ?? null,
  }));
}

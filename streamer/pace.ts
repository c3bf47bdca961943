import { getHeapStatistics } from 'node:v8';
import { afterRound, intervalAt, NOT_DEGRADED, type Strain } from '../domain/metrics/degradation.ts';
import type { Round } from './sampler.ts';

/** How fast rounds follow each other: slower while the process or its host is under load. */
export interface Pace {
  /** Time between two rounds now, milliseconds. */
  intervalMs(): number;
  /** Time that a round may take now, milliseconds. */
  deadlineMs(): number;
  /** Steps back from normal work: 0 to 3. */
  level(): number;
  /** How late a timer of the process ran at worst in the time of the last round, milliseconds. */
  lagMs(): number;
  /** Takes a round that has ended into account. */
  sawRound(round: Pick<Round, 'readMs' | 'unbegun'>): void;
  /** Stops to measure. */
  close(): void;
}

/** What presses on the process besides its rounds. */
export interface StrainGauge {
  /** The strain since the last look. */
  take(): Pick<Strain, 'loopLagMs' | 'memoryShare'>;
  close(): void;
}

/** Part of the interval that a round may take; the rest is for handing its samples on. */
const ROUND_SHARE = 0.9;

/** A look at the event loop each 50 ms takes no measurable CPU, and lets a round of 5 s have a hundred of them. */
const LOOK_MS = 50;

/** Creates the stage that sets the pace. */
export function createPace({
  normalMs,
  gauge = openStrainGauge(),
}: {
  readonly normalMs: number;
  readonly gauge?: StrainGauge;
}): Pace {
  let [state, lagMs] = [NOT_DEGRADED, 0];
  const intervalMs = (): number => intervalAt(state.level, normalMs);
  return {
    intervalMs,
    deadlineMs: () => intervalMs() * ROUND_SHARE,
    level: () => state.level,
    lagMs: () => lagMs,
    sawRound: ({ readMs, unbegun }) => {
      const strain = { ...gauge.take(), roundMs: readMs, isCutShort: unbegun > 0 };
      lagMs = strain.loopLagMs;
      state = afterRound(state, strain, normalMs);
    },
    close: gauge.close,
  };
}

/**
 * Measures this process: how late its timers run, and how much of its memory is in use.
 *
 * The worst delay since the last look counts. `monitorEventLoopDelay` forgets the look that is under way when it is reset,
 * which is the one that sees what follows a round; so the looks are taken here.
 */
export function openStrainGauge(): StrainGauge {
  let [lookedMs, worstMs] = [performance.now(), 0];
  const looks = setInterval(() => {
    const nowMs = performance.now();
    worstMs = Math.max(worstMs, nowMs - lookedMs - LOOK_MS);
    lookedMs = nowMs;
  }, LOOK_MS).unref();
  return {
    take: () => {
      const loopLagMs = worstMs;
      worstMs = 0;
      return { loopLagMs, memoryShare: memoryShare() };
    },
    close: () => clearInterval(looks),
  };
}

/** Of the heap that the engine may have, or of the memory that the container may have, whichever is nearer to its end. */
function memoryShare(): number {
  const heap = getHeapStatistics();
  const limit = process.constrainedMemory();
  const rss = process.memoryUsage.rss();
  // Without a limit the system answers with a number beyond any memory.
  const ofLimit = limit > rss && Number.isSafeInteger(limit) ? rss / limit : 0;
  return Math.max(heap.used_heap_size / heap.heap_size_limit, ofLimit);
}

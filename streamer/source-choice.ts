import type { MeteredContainer, Reading } from '../domain/metrics/reading.ts';
import type { Clock, Meter, ReadingSource } from './ports.ts';

/** How ways of reading are chosen. */
export interface SourceChoiceOptions {
  /** Ways of reading, best first. */
  readonly sources: readonly ReadingSource[];
  /** How long a way that failed for a container is left alone for that one, milliseconds. */
  readonly retryMs: number;
  readonly clock: Pick<Clock, 'monotonic'>;
}

interface Way {
  readonly source: ReadingSource;
  meter: Meter | undefined;
  /** By the clock that never jumps. */
  leftAloneUntilMs: number;
}

/**
 * Makes one way of reading out of several: each container is read by the best that works for it, and when that one fails
 * by the next within the same look. After a while the better one gets another try. The last one is never left alone, so
 * that its own failure is what is told.
 */
export function createSourceChoice(options: SourceChoiceOptions): ReadingSource {
  return {
    open: (container) => {
      const ways = options.sources.map((source): Way => ({ source, meter: undefined, leftAloneUntilMs: 0 }));
      return {
        read: (signal) => readByBest(container, { ways, signal, options }),
        close: () => {
          for (const way of ways) close(way);
        },
      };
    },
  };
}

async function readByBest(
  container: MeteredContainer,
  { ways, signal, options }: { ways: readonly Way[]; signal: AbortSignal; options: SourceChoiceOptions },
): Promise<Reading | undefined> {
  let failure: unknown = new Error(`container ${container.id} cannot be read in any way`);
  for (const way of ways) {
    const isLast = way === ways.at(-1);
    if (!isLast && options.clock.monotonic() < way.leftAloneUntilMs) continue;
    try {
      way.meter ??= way.source.open(container);
      if (way.meter) {
        const reading = await way.meter.read(signal);
        closeAfter(ways, way);
        return reading;
      }
    } catch (error) {
      failure = error;
      close(way);
    }
    way.leftAloneUntilMs = options.clock.monotonic() + options.retryMs;
  }
  throw failure;
}

/** What is held open for ways that are not needed any more. */
function closeAfter(ways: readonly Way[], used: Way): void {
  for (const way of ways.slice(ways.indexOf(used) + 1)) close(way);
}

function close(way: Way): void {
  way.meter?.close();
  way.meter = undefined;
}

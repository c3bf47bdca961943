import {
  addSample,
  closeMinute,
  type MinuteRow,
  type MinuteRules,
  type OpenMinute,
} from '../domain/metrics/minutes.ts';
import type { OpenNodeMinute } from '../domain/metrics/node-minutes.ts';
import type { Sample } from '../domain/metrics/reading.ts';

/** What the aggregator must remember across a restart, so that nothing is counted twice or not at all. */
export interface AggregatorState {
  readonly knownSinceMs: number;
  readonly open: readonly OpenMinute[];
  /** Of the host itself; `undefined` where it cannot be read. */
  readonly node?: OpenNodeMinute | undefined;
}

/** Makes rows of samples. */
export interface MinuteAggregator {
  /** Adds the samples of a round. @returns rows of minutes that they ended. */
  add(samples: readonly Sample[]): readonly MinuteRow[];
  /**
   * Ends the minutes that are over.
   *
   * @param running containers of which Docker has not said that they ended; others are forgotten once their last minute
   *   is over. `undefined` while that is not known: a container that is forgotten and met again would be counted twice.
   */
  close(nowMs: number, running: ReadonlyMap<string, unknown> | undefined): readonly MinuteRow[];
  /** What to keep for the next process. */
  state(): AggregatorState;
  /** Containers of which the last reading is remembered. */
  size(): number;
}

/** Creates the stage that takes differences: the only one that does. */
export function createMinuteAggregator(
  options: Pick<MinuteRules, 'minuteMs'> & {
    /** Containers whose last reading is remembered at most. */
    readonly maxContainers: number;
    readonly restored: AggregatorState;
    readonly now: () => number;
  },
): MinuteAggregator {
  const minutes = new Map(options.restored.open.map((open) => [open.containerId, open]));
  let knownSinceMs = options.restored.knownSinceMs;

  const addOne = (sample: Sample): MinuteRow | null => {
    const rules = { minuteMs: options.minuteMs, knownSinceMs };
    const { open, row } = addSample(minutes.get(sample.containerId), sample, rules);
    minutes.delete(sample.containerId);
    minutes.set(sample.containerId, open);
    return row;
  };

  /** The containers read longest ago go first; a forgotten one must not be counted from zero when it comes back. */
  const evict = (): readonly (MinuteRow | null)[] => {
    const rows: (MinuteRow | null)[] = [];
    for (const [id, open] of minutes) {
      if (minutes.size <= options.maxContainers) break;
      minutes.delete(id);
      knownSinceMs = options.now();
      rows.push(closeMinute(open, Number.POSITIVE_INFINITY, options).row);
    }
    return rows;
  };

  return {
    add: (samples) => [...samples.map(addOne), ...evict()].filter((row) => row !== null),
    close: (nowMs, running) => {
      const rows: MinuteRow[] = [];
      for (const [id, before] of minutes) {
        const { open, row } = closeMinute(before, nowMs, options);
        if (row) rows.push(row);
        if (open.samples === 0 && running && !running.has(id)) minutes.delete(id);
        else minutes.set(id, open);
      }
      return rows;
    },
    state: () => ({ knownSinceMs, open: [...minutes.values()] }),
    size: () => minutes.size,
  };
}

import { setTimeout as delay } from 'node:timers/promises';
import {
  afterAttempt,
  chooseTarget,
  HYSTERESIS,
  type MetricsStoreName,
  type MetricsTarget,
  NEVER_ASKED,
  type StoreHealth,
} from '../domain/metrics/storage-target.ts';
import type { RowStore } from './ports.ts';

/** Longest pause after so many failures in a row, milliseconds. */
export interface Pauses {
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** 0 to 1: spreads the retries of many nodes after an outage that all of them saw. */
  readonly random: () => number;
}

/** The databases that a streamer may write to, and which of them it is now. */
export interface Targets {
  current(): MetricsTarget;
  /** Tells when rows begin to go elsewhere. */
  onSwitch(listener: (to: MetricsTarget, from: MetricsTarget) => void): void;
  store(name: MetricsStoreName): RowStore;
  /** Notes how an attempt to write ended. */
  saw(name: MetricsStoreName, succeeded: boolean): void;
  /** The pause before the next attempt, milliseconds: nothing while all is well. */
  pauseMs(name: MetricsStoreName): number;
  /** Asks those that are away, again and again, until aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** A pause of 0 to the bound that doubles with each failure. */
export function fullJitter(failures: number, { firstPauseMs, longestPauseMs, random }: Pauses): number {
  return random() * Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 30));
}

/** Creates the choice between the metrics database and the one that stands in for it, if there is one. */
export function createTargets(
  options: Pauses & {
    readonly primary: RowStore;
    readonly fallback?: RowStore;
  },
): Targets {
  const stores = new Map<MetricsStoreName, RowStore>([['primary', options.primary]]);
  if (options.fallback) stores.set('fallback', options.fallback);
  const health = new Map<MetricsStoreName, StoreHealth>([...stores.keys()].map((name) => [name, NEVER_ASKED]));
  const listeners: ((to: MetricsTarget, from: MetricsTarget) => void)[] = [];
  let wentAway = Promise.withResolvers<void>();

  const healthOf = (name: MetricsStoreName): StoreHealth => health.get(name) ?? NEVER_ASKED;
  const current = (): MetricsTarget => chooseTarget(healthOf('primary'), health.get('fallback'));
  const saw = (name: MetricsStoreName, succeeded: boolean): void => {
    const before = current();
    health.set(name, afterAttempt(healthOf(name), succeeded, HYSTERESIS));
    const now = current();
    if (now !== before) for (const tell of listeners) tell(now, before);
    if (!healthOf(name).isUp) wentAway.resolve();
  };
  const store = (name: MetricsStoreName): RowStore => {
    const found = stores.get(name);
    if (!found) throw new Error(`there is no ${name} database`);
    return found;
  };

  /** Asks each that is away once. @returns whether all of them answered. */
  const probe = async (away: readonly MetricsStoreName[]): Promise<boolean> => {
    const answers = away.map(async (name) => {
      const answered = await store(name)
        .probe()
        .then(
          () => true,
          () => false,
        );
      saw(name, answered);
      return answered;
    });
    return (await Promise.all(answers)).every((answered) => answered);
  };

  return {
    current,
    onSwitch: (listener) => void listeners.push(listener),
    store,
    saw,
    pauseMs: (name) => {
      const { failuresInARow } = healthOf(name);
      return failuresInARow === 0 ? 0 : fullJitter(failuresInARow - 1, options);
    },
    run: async (signal) => {
      const onAbort = (): void => wentAway.resolve();
      signal.addEventListener('abort', onAbort);
      let failures = 0;
      while (!signal.aborted) {
        const away = [...stores.keys()].filter((name) => !healthOf(name).isUp);
        if (away.length === 0) {
          wentAway = Promise.withResolvers<void>();
          failures = 0;
          await wentAway.promise;
          continue;
        }
        await delay(fullJitter(failures, options), undefined, { signal }).catch(() => undefined);
        if (!signal.aborted) failures = (await probe(away)) ? 0 : failures + 1;
      }
      signal.removeEventListener('abort', onAbort);
    },
  };
}

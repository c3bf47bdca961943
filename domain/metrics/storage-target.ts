/** Where minute rows go: the metrics database, the one that stands in for it, or a file on the node until one is back. */
export type MetricsTarget = 'primary' | 'fallback' | 'spool';

/** A database in which rows can be stored. */
export type MetricsStoreName = Exclude<MetricsTarget, 'spool'>;

/** How often a database has failed or answered in a row. */
export interface StoreHealth {
  readonly isUp: boolean;
  readonly failuresInARow: number;
  readonly successesInARow: number;
}

/** When a database counts as away, and when as back. The two differ, so that one that wavers is not switched to and fro. */
export interface HysteresisRules {
  readonly failuresUntilDown: number;
  readonly successesUntilUp: number;
}

/** A database of which nothing is known yet counts as there. */
export const NEVER_ASKED: StoreHealth = { isUp: true, failuresInARow: 0, successesInARow: 0 };

/** Three in a row either way: about as long as a server takes to be restarted. */
export const HYSTERESIS: HysteresisRules = { failuresUntilDown: 3, successesUntilUp: 3 };

/** What an attempt to reach a database tells of it. */
export function afterAttempt(before: StoreHealth, succeeded: boolean, rules: HysteresisRules): StoreHealth {
  const failuresInARow = succeeded ? 0 : before.failuresInARow + 1;
  const successesInARow = succeeded ? before.successesInARow + 1 : 0;
  const isUp = before.isUp ? failuresInARow < rules.failuresUntilDown : successesInARow >= rules.successesUntilUp;
  return { isUp, failuresInARow, successesInARow };
}

/** Where rows go. The stand-in serves only while the metrics database is away; `undefined` where there is none. */
export function chooseTarget(primary: StoreHealth, fallback: StoreHealth | undefined): MetricsTarget {
  if (primary.isUp) return 'primary';
  return fallback?.isUp ? 'fallback' : 'spool';
}

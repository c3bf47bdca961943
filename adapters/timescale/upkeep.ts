import type { MetricsUpkeep, UpkeepPage } from '../../contracts/metrics-upkeep.ts';
import { asDatabaseError } from '../postgres/errors.ts';
import type { MetricsDatabase } from './metrics-database.ts';
import { migrateMetrics } from './migrate.ts';
import { moveRows } from './move-rows.ts';
import {
  deleteEmptySeries,
  deleteOldRows,
  dropOldHours,
  dropOldMinutes,
  ensurePartitions,
  type MetricsPeriods,
} from './retain.ts';
import { rollUpHours } from './roll-up.ts';

/** One statement moves or removes so many rows at most, and sums up so many hours. */
const ROWS = 2_000;
const HOURS = 500;
const SERIES = 1_000;

/** A page goes on for so long, milliseconds: a fraction of what it may take. */
const PAGE_MS = 5_000;

/** What the upkeep works on. */
export interface UpkeepOptions {
  readonly main: MetricsDatabase;
  /** Where rows go while the main one is away; left out where both are the same. */
  readonly standIn?: MetricsDatabase;
  /** Reads the periods that hold now. */
  readonly readPeriods: () => Promise<MetricsPeriods>;
  /** Forgets whose deployments were of which nothing is kept. */
  readonly forgetDeployments: () => Promise<void>;
  readonly now: () => number;
}

/** Creates the activities of the upkeep of metrics. All of them can be run twice, and be killed at any point. */
export function createMetricsUpkeep(options: UpkeepOptions): MetricsUpkeep {
  const { main, standIn } = options;
  let isPrepared = false;

  const prepared = async (): Promise<void> => {
    if (!isPrepared) await migrateMetrics(main, { timescale: standIn !== undefined });
    isPrepared = true;
  };
  const guarded = async (work: () => Promise<UpkeepPage>): Promise<UpkeepPage> => {
    try {
      await prepared();
      return await work();
    } catch (error) {
      throw asDatabaseError(error);
    }
  };

  return {
    moveMetrics: () =>
      guarded(async () => (standIn ? await inPortions((limit) => moveRows(standIn, main, limit), ROWS, 1) : NOTHING)),
    rollUpMetrics: () => guarded(() => inPortions((limit) => rollUpHours(main, limit), HOURS, HOURS)),
    retainMetrics: () =>
      guarded(async () => {
        const periods = await options.readPeriods();
        const nowMs = options.now();
        for (const db of standIn ? [main, standIn] : [main]) await ensurePartitions(db);
        const minutes = await dropOldMinutes(main, periods, nowMs);
        const dropped = minutes + (await dropOldHours(main, periods, nowMs));
        const rows = await inPortions((limit) => deleteOldRows(main, periods, { nowMs, limit }), ROWS, ROWS);
        for (const db of standIn ? [main, standIn] : [main]) await deleteEmptySeries(db, SERIES);
        await options.forgetDeployments();
        return { done: dropped + rows.done, hasMore: rows.hasMore };
      }),
  };
}

const NOTHING: UpkeepPage = { done: 0, hasMore: false };

/** Goes on until a portion is smaller than `full`, or the page has taken its time. */
async function inPortions(work: (limit: number) => Promise<number>, limit: number, full: number): Promise<UpkeepPage> {
  const endMs = performance.now() + PAGE_MS;
  let done = 0;
  while (performance.now() < endMs) {
    const portion = await work(limit);
    done += portion;
    if (portion < full) return { done, hasMore: false };
  }
  return { done, hasMore: true };
}

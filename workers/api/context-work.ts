import { withFailures } from '../../activities/failures.ts';
import { createSweepContextFiles } from '../../activities/sweep-context-files.ts';
import type { Log } from '../../adapters/logging/log.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { findNeededContexts } from '../../adapters/postgres/retention/needed-contexts.ts';
import { openContextFiles } from '../../adapters/sources/context-files.ts';
import type { TemporalAddress } from '../../adapters/temporal/client.ts';
import { installTemporalLog, type WorkerOptions } from '../../adapters/temporal/worker.ts';
import { CONTEXTS_QUEUE } from '../../contracts/task-queues.ts';
import { keepWorking } from '../node/temporal-work.ts';

/** The SDK takes one log a process. */
let hasLog = false;

/** What clearing away the files of contexts needs. */
export interface ContextWork {
  readonly db: Database;
  readonly folder: string;
  readonly temporal: TemporalAddress;
  /** Further queues of this process, on the same connection. */
  readonly others: readonly WorkerOptions[];
  readonly log: Log;
}

/**
 * Works for retention where the files of contexts are, until aborted. Only activities: no workflow runs in this process.
 * While Temporal is away it is tried again, and everything else of the process goes on.
 */
export function startContextWork(
  { db, folder, temporal, others, log }: ContextWork,
  signal: AbortSignal,
): Promise<void> {
  if (!hasLog) installTemporalLog(log);
  hasLog = true;
  const activities = createSweepContextFiles({
    files: openContextFiles(folder),
    findNeeded: (scope, hashes) => findNeededContexts(db, scope, hashes),
    now: () => new Date(),
  });
  const queue = { taskQueue: CONTEXTS_QUEUE, activities: withFailures(activities), maxActivities: 1 };
  return keepWorking(temporal, [queue, ...others], { signal, log }).ended;
}

import type { Log } from '../../adapters/logging/log.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { createReconcileStore } from '../../adapters/postgres/reconcile-store.ts';
import { createTemporalClient, type TemporalAddress } from '../../adapters/temporal/client.ts';
import { ensureReconcileSchedule } from '../../adapters/temporal/schedules.ts';
import { DEFAULT_RECONCILE_TIMING, RECONCILE_EVERY_MS } from '../../contracts/reconcile.ts';
import { keepTrying } from './keep-trying.ts';

/** What the orchestrator has of the reconciliation. */
export interface OrchestratedReconciliation {
  /** Activities for the control queue. */
  readonly activities: object;
  /** Sees to it, in the background, that its schedule is there. */
  schedule(): void;
  close(): Promise<void>;
}

/** Opens the activities of the reconciliation. */
export function openReconciliation(
  database: Database,
  temporal: TemporalAddress,
  log: Log,
): OrchestratedReconciliation {
  const { client, close } = createTemporalClient(temporal);
  const closing = new AbortController();
  const schedule = { everyMs: RECONCILE_EVERY_MS, timing: DEFAULT_RECONCILE_TIMING };
  let scheduled: Promise<void> | undefined;
  return {
    activities: createReconcileStore(database),
    schedule: () => {
      scheduled ??= keepTrying(() => ensureReconcileSchedule(client, schedule), {
        ...{ what: 'the schedule of the reconciliation', log, signal: closing.signal },
      });
    },
    close: async () => {
      closing.abort();
      await close();
      await scheduled;
    },
  };
}

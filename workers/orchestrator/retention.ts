import type { z } from 'zod';
import { createSweepDatabase } from '../../activities/sweep-database.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { openDatabase } from '../../adapters/postgres/database.ts';
import { createRetentionStore } from '../../adapters/postgres/retention/retention-store.ts';
import { sweepDatabase } from '../../adapters/postgres/retention/sweeps.ts';
import { createTemporalClient, type TemporalAddress } from '../../adapters/temporal/client.ts';
import { ensureRetentionSchedule } from '../../adapters/temporal/schedules.ts';
import type { orchestratorVariables } from '../../config/orchestrator.ts';
import { DEFAULT_RETENTION_TIMING } from '../../contracts/retention.ts';
import { DEFAULT_RETENTION, type RetentionPolicy } from '../../domain/retention/policy.ts';
import { keepTrying } from './keep-trying.ts';

type Config = z.infer<typeof orchestratorVariables>;

/** A night's work takes its time: connections of its own, which never keep a rollout waiting. */
const DATABASE = { maxConnections: 2, statementTimeoutMs: 30_000 };

/** What the orchestrator has of retention. */
export interface OrchestratedRetention {
  /** Activities for the control queue. */
  readonly activities: object;
  /** Sees to it, in the background, that its schedule is there. */
  schedule(): void;
  close(): Promise<void>;
}

/** Opens the activities of retention. */
export function openRetention(config: Config, temporal: TemporalAddress, log: Log): OrchestratedRetention {
  const database = openDatabase({ url: config.DATABASE_URL, ...DATABASE });
  const { client, close } = createTemporalClient(temporal);
  const closing = new AbortController();
  const schedule = { hour: config.RETENTION_HOUR, timing: DEFAULT_RETENTION_TIMING };
  let scheduled: Promise<void> | undefined;
  return {
    activities: {
      ...createRetentionStore(database, policyOf(config)),
      ...createSweepDatabase((scope, options) => sweepDatabase(database, scope, options)),
    },
    schedule: () => {
      scheduled ??= keepTrying(() => ensureRetentionSchedule(client, schedule), {
        ...{ what: 'the schedule of retention', log, signal: closing.signal },
      });
    },
    close: async () => {
      closing.abort();
      await close();
      await scheduled;
      await database.destroy();
    },
  };
}

function policyOf(config: Config): RetentionPolicy {
  return {
    ...DEFAULT_RETENTION,
    revisions: config.RETENTION_KEEP_REVISIONS,
    historyMs: config.RETENTION_HISTORY,
    buildLogsMs: config.RETENTION_BUILD_LOGS,
    imagesMs: config.RETENTION_IMAGE_AGE,
    buildCacheBytes: config.RETENTION_BUILD_CACHE_BYTES ?? null,
  };
}

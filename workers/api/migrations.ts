import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../adapters/logging/log.ts';
import { migrate } from '../../adapters/postgres/migrate.ts';
import { isDomainError } from '../../domain/errors.ts';

/** Pause before a database that was away is tried again. */
const RETRY_MS = 2_000;

/**
 * Applies the migrations, or goes on trying in the background while the database is away: without it the process still
 * answers `/health`, and ingresses get the routes that were kept.
 *
 * @throws what is wrong with the migrations themselves.
 */
export async function migrateOrLater(url: string, log: Log, signal: AbortSignal): Promise<void> {
  if (await tryMigrate(url, log)) return;
  void retry(url, log, signal);
}

async function retry(url: string, log: Log, signal: AbortSignal): Promise<void> {
  try {
    do await delay(RETRY_MS, undefined, { signal });
    while (!(await tryMigrate(url, log)));
    log.info('the database is back and migrated');
  } catch (error) {
    if (!signal.aborted) log.error({ err: error }, 'cannot migrate the database');
  }
}

async function tryMigrate(url: string, log: Log): Promise<boolean> {
  try {
    await migrate(url);
    return true;
  } catch (error) {
    if (!isDomainError(error) || error.code !== 'DATABASE_UNAVAILABLE') throw error;
    log.warn({ err: error }, 'the database is away: starting without it');
    return false;
  }
}

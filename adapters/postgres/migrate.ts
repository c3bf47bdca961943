import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { openMetricsDatabase } from '../timescale/metrics-database.ts';
import { migrateMetrics } from '../timescale/migrate.ts';
import { openDatabase } from './database.ts';

/** Longest single statement of a migration, and longest wait for another process that migrates. */
const STATEMENT_TIMEOUT_MS = 10 * 60_000;

/** Migrations of the control database. */
const CONTROL_MIGRATIONS = join(import.meta.dirname, 'migrations');

/**
 * Brings a database to the newest schema: runs every `*.sql` file of the folder that has not run yet, by name.
 *
 * All in one transaction under one lock: a process killed half-way leaves nothing, and of many at once one works while
 * the others wait. Forward only; a file that has run is never changed.
 *
 * With the control database's own migrations come the tables of metrics, which stand in when the metrics database is away.
 *
 * @returns the names of the migrations that this call has run.
 */
export async function migrate(url: string, folder: string = CONTROL_MIGRATIONS): Promise<string[]> {
  const db = openDatabase({ url, maxConnections: 2, statementTimeoutMs: STATEMENT_TIMEOUT_MS });
  try {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: () => readMigrations(folder) },
      migrationTableName: 'schema_migrations',
      migrationLockTableName: 'schema_migrations_lock',
    });
    const { error, results } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
    if (folder === CONTROL_MIGRATIONS) await migrateStandIn(url);
    return (results ?? []).map((result) => result.migrationName);
  } finally {
    await db.destroy();
  }
}

async function migrateStandIn(url: string): Promise<void> {
  const metrics = openMetricsDatabase(url);
  try {
    await migrateMetrics(metrics, { timescale: false });
  } finally {
    await metrics.destroy();
  }
}

async function readMigrations(folder: string): Promise<Record<string, Migration>> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = files.map(async (file): Promise<[string, Migration]> => {
    const statements = sql.raw(await readFile(join(folder, file), 'utf8'));
    return [file.replace(/\.sql$/, ''), { up: async (db) => void (await statements.execute(db)) }];
  });
  return Object.fromEntries(await Promise.all(migrations));
}

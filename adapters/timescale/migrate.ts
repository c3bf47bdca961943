import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { type MetricsDatabase, openMetricsDatabase } from './metrics-database.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

/**
 * Brings the metrics database to the newest schema, by a role that owns it. Safe to repeat and to run many at once.
 *
 * Its bookkeeping has a name of its own, so that the tables may lie in the control database as well.
 */
export async function migrateMetrics(db: MetricsDatabase): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: readMigrations },
    migrationTableName: 'metrics_migrations',
    migrationLockTableName: 'metrics_migrations_lock',
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

/** What a node's streamer signs in with. */
export interface MetricsWriter {
  readonly role: string;
  readonly password: string;
}

/**
 * Makes the metrics tables, and a role that can insert into them and do nothing else: not even read what it wrote, so
 * that a stolen node learns nothing of others. Safe to repeat.
 *
 * @param url the owner of the database, or an administrator; it must be allowed to create roles.
 */
export async function prepareMetricsDatabase(url: string, { role, password }: MetricsWriter): Promise<void> {
  const db = openMetricsDatabase(url);
  try {
    await migrateMetrics(db);
    await db.transaction().execute(async (tx) => {
      const roles = await sql`select 1 from pg_roles where rolname = ${role}`.execute(tx);
      if (roles.rows.length === 0) await sql`create role ${sql.id(role)} login`.execute(tx);
      await sql`alter role ${sql.id(role)} password ${sql.lit(password)}`.execute(tx);
      const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(tx);
      await sql`grant connect on database ${sql.id(rows[0]?.name ?? '')} to ${sql.id(role)}`.execute(tx);
      await sql`grant usage on schema public to ${sql.id(role)}`.execute(tx);
      await sql`grant insert on container_metrics to ${sql.id(role)}`.execute(tx);
    });
  } finally {
    await db.destroy();
  }
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(MIGRATIONS)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = files.map(async (file): Promise<[string, Migration]> => {
    const statements = sql.raw(await readFile(join(MIGRATIONS, file), 'utf8'));
    return [file.replace(/\.sql$/, ''), { up: async (db) => void (await statements.execute(db)) }];
  });
  return Object.fromEntries(await Promise.all(migrations));
}

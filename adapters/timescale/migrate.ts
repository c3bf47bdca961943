import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { type MetricsDatabase, openMetricsDatabase } from './metrics-database.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

/**
 * Brings the metrics database to the newest schema, by a role that owns it. Safe to repeat and to run many at once.
 *
 * Its bookkeeping has a name of its own: the same tables lie in the control database, where they stand in for these.
 *
 * @param options.timescale whether to use TimescaleDB where the server has it loaded.
 */
export async function migrateMetrics(db: MetricsDatabase, options = { timescale: true }): Promise<void> {
  if (options.timescale) await ensureTimescale(db);
  const migrator = new Migrator({
    db,
    provider: { getMigrations: readMigrations },
    migrationTableName: 'metrics_migrations',
    migrationLockTableName: 'metrics_migrations_lock',
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

/** A role of the metrics database. */
export interface MetricsRole {
  readonly role: string;
  readonly password: string;
}

/** Who may do what. A database that only stands in has no readers. */
export interface MetricsRoles {
  /** What a streamer signs in with: it can add rows and do nothing else, not even read what it wrote. */
  readonly writer: MetricsRole & {
    /** Binds the role to one node: it can add rows of that one only. */
    readonly nodeId?: string;
  };
  /** What the API signs in with: it can read. */
  readonly reader?: MetricsRole;
}

/** What an installation before had its administrator own. */
const ONCE_OF_OTHERS = ['container_metrics', 'metrics_migrations', 'metrics_migrations_lock'];

const TABLES = ['metric_series', 'container_metrics', 'node_metrics', 'request_metrics', 'usage_hourly'];
const WRITING = ['write_container_minutes', 'write_node_minutes', 'write_request_minutes'];

/**
 * Makes the metrics tables, and roles with the rights that they need, so that a stolen node learns nothing of others and
 * changes nothing that is there. Safe to repeat.
 *
 * TimescaleDB is used where the server has it. Tables belong to the owner of the database, whoever calls this.
 *
 * @param url the owner of the database, or an administrator; it must be allowed to create roles.
 */
export async function prepareMetricsDatabase(
  url: string,
  roles: MetricsRoles,
  options = { timescale: true },
): Promise<void> {
  const db = openMetricsDatabase(url);
  try {
    if (options.timescale) await ensureTimescale(db);
    await migrateAsOwner(url, await giveToOwner(db), options);
    await db.transaction().execute(async (tx) => {
      const { writer, reader } = roles;
      await ensureRole(tx, writer);
      for (const name of WRITING) {
        await sql`grant execute on function ${sql.id(name)} to ${sql.id(writer.role)}`.execute(tx);
      }
      await bindWriter(tx, writer);
      if (!reader) return;
      await ensureRole(tx, reader);
      for (const table of TABLES) await sql`grant select on ${sql.id(table)} to ${sql.id(reader.role)}`.execute(tx);
    });
  } finally {
    await db.destroy();
  }
}

/** Gives what an administrator has made to the owner of the database. @returns that one. */
async function giveToOwner(db: MetricsDatabase): Promise<string> {
  const { rows } = await sql<{ owner: string }>`
    select pg_get_userbyid(datdba) as owner from pg_database where datname = current_database()
  `.execute(db);
  const owner = rows[0]?.owner ?? '';
  const others = await sql<{ name: string }>`
    select relname as name from pg_class
    where oid = any (select to_regclass(name) from unnest(${ONCE_OF_OTHERS}::text[]) as name)
      and pg_get_userbyid(relowner) <> ${owner}
  `.execute(db);
  for (const { name } of others.rows) await sql`alter table ${sql.id(name)} owner to ${sql.id(owner)}`.execute(db);
  return owner;
}

async function migrateAsOwner(url: string, owner: string, options: { timescale: boolean }): Promise<void> {
  const asOwner = new URL(url);
  asOwner.searchParams.set('options', `-c role=${owner}`);
  const db = openMetricsDatabase(asOwner.href);
  try {
    await migrateMetrics(db, options);
  } finally {
    await db.destroy();
  }
}

async function ensureRole(tx: MetricsDatabase, { role, password }: MetricsRole): Promise<void> {
  const roles = await sql`select 1 from pg_roles where rolname = ${role}`.execute(tx);
  if (roles.rows.length === 0) await sql`create role ${sql.id(role)} login`.execute(tx);
  await sql`alter role ${sql.id(role)} password ${sql.lit(password)}`.execute(tx);
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(tx);
  await sql`grant connect on database ${sql.id(rows[0]?.name ?? '')} to ${sql.id(role)}`.execute(tx);
  await sql`grant usage on schema public to ${sql.id(role)}`.execute(tx);
}

async function bindWriter(tx: MetricsDatabase, { role, nodeId }: MetricsRoles['writer']): Promise<void> {
  await tx.deleteFrom('metric_writers').where('role', '=', role).execute();
  if (nodeId !== undefined) await tx.insertInto('metric_writers').values({ role, node_id: nodeId }).execute();
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(MIGRATIONS)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = files.map(async (file): Promise<[string, Migration]> => {
    const statements = sql.raw(await readFile(join(MIGRATIONS, file), 'utf8'));
    return [file.replace(/\.sql$/, ''), { up: async (db) => void (await statements.execute(db)) }];
  });
  return Object.fromEntries(await Promise.all(migrations));
}

/** The extension, where the server has loaded it; without it everything works on partitions of PostgreSQL. */
async function ensureTimescale(db: MetricsDatabase): Promise<void> {
  const { rows } = await sql<{ loaded: boolean }>`
    select current_setting('timescaledb.max_background_workers', true) is not null
      and exists (select from pg_available_extensions where name = 'timescaledb') as loaded
  `.execute(db);
  if (!rows[0]?.loaded) return;
  await db.transaction().execute(async (tx) => {
    // It does not wait for another that makes it at the same time.
    await sql`select pg_advisory_xact_lock(hashtext('metrics_migrations'))`.execute(tx);
    await sql`create extension if not exists timescaledb`.execute(tx);
  });
}

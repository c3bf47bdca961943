import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { isDomainError } from '../../domain/errors.ts';
import { type Database, openDatabase } from './database.ts';

/** A server that has just been started answers "starting up" for a while, after a crash for longer. */
const RETRY_EVERY_MS = 100;

/** A database and the one role that owns it. */
export interface OwnedDatabase {
  readonly name: string;
  readonly role: string;
  readonly password: string;
}

/**
 * Makes these databases and their roles where they are missing, and sets the roles' passwords. Safe to repeat.
 *
 * @param adminUrl a role that may create roles and databases.
 * @throws DATABASE_UNAVAILABLE when the server does not answer within `patienceMs`.
 */
export async function ensureDatabases(
  adminUrl: string,
  wanted: readonly OwnedDatabase[],
  patienceMs: number,
): Promise<void> {
  const db = openDatabase({ url: adminUrl, maxConnections: 1, statementTimeoutMs: 30_000 });
  try {
    await untilServing(db, performance.now() + patienceMs);
    for (const one of wanted) await ensureDatabase(db, one);
  } finally {
    await db.destroy();
  }
}

async function untilServing(db: Database, deadline: number): Promise<void> {
  for (;;) {
    try {
      await sql`select 1`.execute(db);
      return;
    } catch (error) {
      const isStarting = isDomainError(error) && error.code === 'DATABASE_UNAVAILABLE';
      if (!isStarting || performance.now() >= deadline) throw error;
    }
    await delay(RETRY_EVERY_MS);
  }
}

async function ensureDatabase(db: Database, { name, role, password }: OwnedDatabase): Promise<void> {
  const roles = await sql`select 1 from pg_roles where rolname = ${role}`.execute(db);
  if (roles.rows.length === 0) await sql`create role ${sql.id(role)} login`.execute(db);
  await sql`alter role ${sql.id(role)} password ${sql.lit(password)}`.execute(db);
  const databases = await sql`select 1 from pg_database where datname = ${name}`.execute(db);
  if (databases.rows.length === 0) await sql`create database ${sql.id(name)} owner ${sql.id(role)}`.execute(db);
  await sql`revoke all on database ${sql.id(name)} from public`.execute(db);
}

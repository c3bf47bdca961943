import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, type Transaction } from 'kysely';
import { Pool, type PoolClient, types } from 'pg';
import { asDatabaseError } from './errors.ts';
import type { Schema } from './schema.ts';

/** The control database, or a transaction of it. `destroy()` closes its connections. */
export type Database = Kysely<Schema>;

/** One transaction of the control database. */
export type DatabaseTransaction = Transaction<Schema>;

/** Rows of one insert at most: a statement takes 65,535 parameters, and no row here that comes in numbers has over 12. */
export const ROWS_PER_INSERT = 5_000;

/** Where the database is, and how much of it one process takes. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  /** Connections of this process at most. Default 10. */
  readonly maxConnections?: number;
  /** How long one statement may take, milliseconds. Default 5,000: what a caller of the API still waits for. */
  readonly statementTimeoutMs?: number;
}

/** How long making a connection, or waiting for one of the pool, may take. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A frozen server does not end statements: this much later the connection is given up from our side. */
const FROZEN_AFTER_MS = 1_000;

/**
 * Opens the control database. Connects at the first query; a connection that broke is replaced at the next.
 *
 * Every query answers or throws within about its time limit; what the connection, not the statement, is to blame for
 * is thrown as DATABASE_UNAVAILABLE. `bigint` columns are read as numbers: all of them stay far below 2^53.
 */
export function openDatabase({ url, maxConnections = 10, statementTimeoutMs = 5_000 }: DatabaseOptions): Database {
  const pool = new Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: 2 * statementTimeoutMs,
    query_timeout: statementTimeoutMs + FROZEN_AFTER_MS,
    keepAlive: true,
    application_name: 'obiente',
    types: { getTypeParser: parserOf },
  });
  // The pool has removed the idle connection that broke; whoever needs the next one gets a new one or the error.
  pool.on('error', () => undefined);
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: translated(pool) }) });
}

function parserOf(oid: number, format?: 'text' | 'binary') {
  if (oid === types.builtins.INT8) return Number;
  return format === 'binary' ? types.getTypeParser(oid, 'binary') : types.getTypeParser(oid, 'text');
}

function translated(pool: Pool): PostgresPool {
  const attempt = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (error) {
      throw asDatabaseError(error);
    }
  };
  return {
    options: pool.options,
    connect: async () => wrapped(await attempt(() => pool.connect()), attempt),
    end: () => pool.end(),
  };
}

type Attempt = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** One wrapper per connection, since Kysely recognises a connection by it. */
const wrappers = new WeakMap<PoolClient, PostgresPoolClient>();

function wrapped(client: PoolClient, attempt: Attempt): PostgresPoolClient {
  const known = wrappers.get(client);
  if (known) return known;
  let isBroken = false;
  // A connection that breaks between two statements tells nobody else, and unheard would end the process.
  client.on('error', () => {
    isBroken = true;
  });
  const query = (sql: string, parameters: readonly unknown[]) =>
    attempt(async () => {
      try {
        return await client.query(sql, [...parameters]);
      } catch (error) {
        // A connection whose answer was not waited for would give it to the next query.
        isBroken ||= error instanceof Error && error.message === 'Query read timeout';
        throw error;
      }
    });
  const wrapper = {
    query,
    release: (destroy?: boolean) => client.release(destroy === true || isBroken),
  } as unknown as PostgresPoolClient;
  wrappers.set(client, wrapper);
  return wrapper;
}

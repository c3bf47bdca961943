import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../adapters/postgres/migrate.ts';
import { initdbCommand, prepareDataDirectory, serverCommand } from '../../scripts/components/postgres.mjs';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

/** A real PostgreSQL server of this test run. */
export interface TestPostgres {
  /** Of its superuser, to the database `postgres`. */
  readonly adminUrl: string;
  readonly dataDir: string;
  /** Ends the server as `kill -9` does, and starts it again on the same data. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** A database of its own for one test file. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl?: string;
  }
}

/** A migrated database that the others are copied from: 30 ms in place of the migrations. */
const TEMPLATE = 'obiente_template';

/** Nothing of a test has to survive the machine; many tests connect at once. */
const TEST_SETTINGS = ['fsync=off', 'max_connections=300'].flatMap((setting) => ['-c', setting]);

/** For `globalSetup` of vitest: one server for all test files of the project, found by {@link createTestDatabase}. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres();
  await createTemplate(server.adminUrl);
  project.provide('postgresUrl', server.adminUrl);
  return () => server.stop();
}

/** Starts a server in a folder of its own below the system's folder for temporary files. */
export async function startPostgres(): Promise<TestPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-postgres-'));
  await chmod(folder, 0o755);
  const dataDir = join(folder, 'data');
  const password = randomBytes(16).toString('hex');
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  const binDir = await postgresBinDir();
  prepareDataDirectory({ dataDir });
  const initdb = initdbCommand({ binDir, dataDir, passwordFile });
  await promisify(execFile)(initdb.command, initdb.args, { env: initdb.env });

  const port = await freePort();
  const adminUrl = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  const start = async (): Promise<ChildProcess> => {
    const { command, args, env } = serverCommand({ binDir, dataDir, port });
    const launch = () => spawn(command, [...args, ...TEST_SETTINGS], { env, stdio: 'ignore' });
    let started = launch();
    await eventually(async () => {
      // After a crash the old server's children may hold its memory for a moment; the new one then gives up.
      if (started.exitCode !== null) started = launch();
      await asAdmin(adminUrl, async () => undefined);
    });
    return started;
  };
  let server = await start();
  return {
    adminUrl,
    dataDir,
    crash: async () => {
      await ended(server, 'SIGKILL');
      server = await start();
    },
    stop: async () => {
      await ended(server, 'SIGINT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Creates a migrated database on the server of this run. */
export async function createTestDatabase(adminUrl: string): Promise<TestDatabase> {
  return await createDatabase(adminUrl, TEMPLATE);
}

/** Creates a database without tables on the server of this run. */
export async function createEmptyDatabase(adminUrl: string): Promise<TestDatabase> {
  return await createDatabase(adminUrl, 'template0');
}

async function createDatabase(adminUrl: string, template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asAdmin(adminUrl, (admin) => admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => asAdmin(adminUrl, (admin) => admin.query(`DROP DATABASE ${name} WITH (FORCE)`)).then(() => undefined),
  };
}

async function createTemplate(adminUrl: string): Promise<void> {
  await asAdmin(adminUrl, (admin) => admin.query(`CREATE DATABASE ${TEMPLATE}`));
  const url = new URL(adminUrl);
  url.pathname = `/${TEMPLATE}`;
  await migrate(url.href);
}

async function asAdmin<Result>(adminUrl: string, work: (admin: Client) => Promise<Result>): Promise<Result> {
  const admin = new Client({ connectionString: adminUrl });
  admin.on('error', () => undefined);
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

async function postgresBinDir(): Promise<string> {
  const stateDir = process.env.OBIENTE_STATE_DIR ?? join(import.meta.dirname, '../../.obiente');
  const toolchain = JSON.parse(await readFile(join(stateDir, 'toolchain.json'), 'utf8')) as {
    postgres: { kind: 'embedded'; binDir: string } | { kind: 'external' };
  };
  if (toolchain.postgres.kind === 'embedded') return toolchain.postgres.binDir;
  throw new Error('these tests need the embedded PostgreSQL: run the set-up without DATABASE_URL');
}

async function ended(server: ChildProcess, signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exit = new Promise((resolve) => server.once('exit', resolve));
  server.kill(signal);
  await exit;
}

import { execFile } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { initdbCommand, prepareDataDirectory, serverCommand } from '../../scripts/components/postgres.mjs';
import type { ProcessSpec } from './launch.ts';

/** The embedded PostgreSQL of a state folder. */
export interface EmbeddedPostgres {
  readonly binDir: string;
  readonly stateDir: string;
  readonly passwordFile: string;
  readonly port: number;
}

/** Makes an empty database cluster if there is none: whole or not at all, so a cut one is made anew. */
export async function ensureCluster({ binDir, stateDir, passwordFile }: EmbeddedPostgres): Promise<void> {
  const dataDir = join(stateDir, 'postgres', 'data');
  if (existsSync(dataDir)) return;
  const unfinished = join(stateDir, 'postgres', 'unfinished');
  rmSync(unfinished, { recursive: true, force: true });
  prepareDataDirectory({ dataDir: unfinished });
  const { command, args, env } = initdbCommand({ binDir, dataDir: unfinished, passwordFile });
  await promisify(execFile)(command, args, { env, cwd: '/' });
  renameSync(unfinished, dataDir);
}

/** How the server is run. SIGINT is its fast shutdown; SIGTERM would wait for every client to leave. */
export function postgresSpec({ binDir, stateDir, port }: EmbeddedPostgres): ProcessSpec {
  return {
    ...serverCommand({ binDir, dataDir: join(stateDir, 'postgres', 'data'), port }),
    name: 'postgres',
    cwd: '/',
    readiness: { kind: 'tcp', host: '127.0.0.1', port },
    stopSignal: 'SIGINT',
    stopGraceMs: 30_000,
    after: [],
  };
}

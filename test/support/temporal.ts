import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { createKeyring, type Keyring } from '../../adapters/sealing/keyring.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { programPath } from './program-path.ts';

/** A real Temporal server of this test run. */
export interface TestTemporal {
  readonly address: string;
  stop(): Promise<void>;
}

/** Starts the Temporal server that the set-up found or built, with its database in a file. */
export async function startTemporal(): Promise<TestTemporal> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-temporal-'));
  const port = await freePort();
  const args = ['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port)];
  const file = ['--db-filename', join(folder, 'temporal.db'), '--log-level', 'error'];
  const server = spawn(await programPath('temporal'), [...args, ...file], { stdio: 'ignore' });
  const address = `127.0.0.1:${port}`;
  await eventually(async () => {
    const connection = await Connection.connect({ address });
    await connection.close();
  });
  return {
    address,
    stop: async () => {
      await ended(server);
      await rm(folder, { recursive: true });
    },
  };
}

async function ended(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null) return;
  const exit = new Promise((resolve) => process.once('exit', resolve));
  process.kill('SIGTERM');
  await exit;
}

/** Payload keys of its own for each test. */
export function aPayloadKeyring(): Keyring {
  return createKeyring(randomBytes(32));
}

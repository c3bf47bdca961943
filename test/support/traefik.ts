import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeStaticConfig } from '../../adapters/traefik/static-config.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { programPath } from './program-path.ts';

/** A real Traefik of this test run. */
export interface TestTraefik {
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Base URL of the internal entry point. */
  readonly internalUrl: string;
  /** Ends it with this signal and starts it again on the same ports. */
  restart(signal: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the Traefik that the set-up found or built, fed from `configUrl`. Resolves when it answers pings. */
export async function startTraefik(source: { configUrl: string; token: string }): Promise<TestTraefik> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-traefik-'));
  const [httpPort, httpsPort, internalPort] = [await freePort(), await freePort(), await freePort()];
  const configFile = join(folder, 'traefik.yml');
  const local = { bindAddress: '127.0.0.1', internalAddress: '127.0.0.1' };
  await writeStaticConfig(configFile, { ...local, ...source, httpPort, httpsPort, internalPort });
  const internalUrl = `http://127.0.0.1:${internalPort}`;
  const binary = await programPath('traefik');
  const start = async (): Promise<ChildProcess> => {
    const started = spawn(binary, [`--configFile=${configFile}`], { stdio: 'ignore' });
    await eventually(() => fetch(`${internalUrl}/ping`));
    return started;
  };
  let traefik = await start();
  return {
    httpPort,
    httpsPort,
    internalUrl,
    restart: async (signal) => {
      await ended(traefik, signal);
      traefik = await start();
    },
    stop: async () => {
      await ended(traefik, 'SIGKILL');
      await rm(folder, { recursive: true });
    },
  };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exit;
}

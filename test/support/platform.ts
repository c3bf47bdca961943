import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Api, createApi } from '../../cli/client.ts';
import { storedToken } from '../../cli/tokens.ts';
import { startPlatform } from '../../workers/dev/platform.ts';
import { createTestInstallation } from './installation.ts';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Waits that a test need not sit out: its requests take milliseconds, its applications have nothing to save, and nobody
 * returns to an image that nothing uses.
 */
const BRISK = {
  ...{ ROLLOUT_DRAIN: '2s', ROLLOUT_STOP_GRACE: '2s', RETENTION_IMAGE_AGE: '1s' },
  // Receivers of alerts are on this machine.
  ALERTS_ALLOWED_HOSTS: '127.0.0.1',
};

/** What tests in other processes need to know of the platform that this run started; can be sent between processes. */
export interface PlatformFacts {
  readonly stateDir: string;
  readonly instance: string;
  readonly apiUrl: string;
  readonly temporalAddress: string;
  /** The control database, as its owner. */
  readonly databaseUrl: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Ports of loopback at which tenants may name registries. */
  readonly registryPorts: readonly number[];
  /** Ports of `localhost` at which tenants may name Git servers: for HTTPS, and for SSH. */
  readonly gitPorts: readonly number[];
}

/**
 * Starts a whole platform of its own: own state, own ports, own instance id on the shared Docker daemon.
 *
 * @param settings further variables of its roles.
 */
export async function startTestPlatform(
  settings: Readonly<Record<string, string>> = {},
): Promise<PlatformFacts & { stop(): Promise<void> }> {
  const { stateDir, instance, registryPorts, gitPorts, environment, remove } = await createTestInstallation();
  const starting = startPlatform({ stateDir, environment: { ...environment, ...BRISK, ...settings }, instance });
  const platform = await starting.catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const { api: apiUrl, temporal: temporalAddress } = platform.addresses;
  const password = (await readFile(join(stateDir, 'keys', 'database.password'), 'utf8')).trim();
  const databaseUrl = `postgres://obiente:${password}@127.0.0.1:${environment.POSTGRES_PORT}/obiente`;
  const ports = { httpPort: Number(environment.HTTP_PORT), httpsPort: Number(environment.HTTPS_PORT) };
  const stop = async (): Promise<void> => {
    await platform.stop();
    await remove();
  };
  return { stateDir, instance, apiUrl, temporalAddress, databaseUrl, ...ports, registryPorts, gitPorts, stop };
}

/** The API as the platform's one development user. */
export function openApi({ apiUrl, stateDir }: Pick<PlatformFacts, 'apiUrl' | 'stateDir'>): Api {
  return createApi({ url: apiUrl, tokens: storedToken(join(stateDir, 'cli.json')) });
}

/** What a command printed, and how it ended. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the `obiente` command as a person does. */
export async function obiente({ stateDir }: PlatformFacts, ...args: readonly string[]): Promise<CommandResult> {
  const env = { ...process.env, OBIENTE_STATE_DIR: stateDir, NO_COLOR: '1' };
  const options = { cwd: ROOT, env, maxBuffer: 16 * 1024 * 1024 };
  return await new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'bin/obiente.js'), ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** Process id of one of the platform's processes in its present run. */
export async function pidOf({ stateDir }: PlatformFacts, name: string): Promise<number> {
  const record = JSON.parse(await readFile(join(stateDir, 'run', `${name}.json`), 'utf8')) as { pid: number };
  return record.pid;
}

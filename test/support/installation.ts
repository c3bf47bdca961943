import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

const PORTS = [
  ...['API_PORT', 'TRAEFIK_INTERNAL_PORT', 'OIDC_PORT', 'NODE_GATEWAY_PORT', 'STREAMER_GATEWAY_PORT'],
  ...['POSTGRES_PORT', 'TEMPORAL_PORT', 'TEMPORAL_UI_PORT', 'HTTP_PORT', 'HTTPS_PORT'],
];

/** A place for a platform of its own beside any other on this machine: folder, instance id and ports. */
export interface TestInstallation {
  readonly stateDir: string;
  readonly instance: string;
  /** For the supervisor, in process or as one. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  remove(): Promise<void>;
}

/** Prepares a state folder with the programs that the set-up found or built for this checkout. */
export async function createTestInstallation(): Promise<TestInstallation> {
  const stateDir = await mkdtemp(join(tmpdir(), 'obiente-platform-'));
  const setUpDir = process.env.OBIENTE_STATE_DIR ?? join(import.meta.dirname, '../../.obiente');
  const instance = randomBytes(4).toString('hex');
  await copyFile(join(setUpDir, 'toolchain.json'), join(stateDir, 'toolchain.json'));
  await writeFile(join(stateDir, 'instance'), `${instance}\n`);
  const ports: Record<string, string> = {};
  for (const name of PORTS) {
    let port = String(await freePort());
    while (Object.values(ports).includes(port)) port = String(await freePort());
    ports[name] = port;
  }
  const environment = { PATH: process.env.PATH, HOME: process.env.HOME, OBIENTE_STATE_DIR: stateDir, ...ports };
  return { stateDir, instance, environment, remove: () => rm(stateDir, { recursive: true, force: true }) };
}

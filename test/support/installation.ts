import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

const PORTS = [
  ...['API_PORT', 'TRAEFIK_INTERNAL_PORT', 'OIDC_PORT', 'NODE_GATEWAY_PORT', 'STREAMER_GATEWAY_PORT'],
  ...['POSTGRES_PORT', 'TEMPORAL_PORT', 'TEMPORAL_UI_PORT', 'HTTP_PORT', 'HTTPS_PORT'],
];

/** Ports on which a test may start registries that the platform's tenants may name. */
const REGISTRY_PORTS = 2;

/** Ports on which a test may start Git servers that the platform's tenants may name. */
const GIT_PORTS = 2;

/** A place for a platform of its own beside any other on this machine: folder, instance id and ports. */
export interface TestInstallation {
  readonly stateDir: string;
  readonly instance: string;
  /** Free ports of loopback at which tenants may name registries, see `test/support/registry.ts`. */
  readonly registryPorts: readonly number[];
  /** Free ports of `localhost` at which tenants may name Git servers: for HTTPS, and for SSH. */
  readonly gitPorts: readonly number[];
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
  const free = await freePorts(PORTS.length + REGISTRY_PORTS + GIT_PORTS);
  const ports = Object.fromEntries(PORTS.map((name, index) => [name, String(free[index])]));
  const registryPorts = free.slice(PORTS.length, PORTS.length + REGISTRY_PORTS);
  const gitPorts = free.slice(PORTS.length + REGISTRY_PORTS);
  const gitHosts = gitPorts.map((port) => `localhost:${port}`).join(',');
  const environment = {
    ...{ PATH: process.env.PATH, HOME: process.env.HOME, OBIENTE_STATE_DIR: stateDir, ...ports },
    API_ALLOWED_REGISTRIES: registryPorts.map((port) => `127.0.0.1:${port}`).join(','),
    ...{ API_ALLOWED_GIT_HOSTS: gitHosts, NODE_ALLOWED_GIT_HOSTS: gitHosts },
    NODE_GIT_CA_FILE: join(stateDir, 'ca.pem'),
    ...{ STATIC_SITE_IMAGE: siteImageOf(instance), STATIC_SITE_FOLDER: '/www' },
  };
  const remove = () => rm(stateDir, { recursive: true, force: true });
  return { stateDir, instance, registryPorts, gitPorts, environment, remove };
}

/** Name of the image that serves pages; a test that deploys one has to make it. */
export function siteImageOf(instance: string): string {
  return `site-of-tests-${instance}:latest`;
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

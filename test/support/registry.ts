import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';
import { stringify } from 'yaml';
import { tarOf } from './docker.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { programPath } from './program-path.ts';

/** Somebody whom a registry knows. */
export interface RegistryUser {
  readonly username: string;
  readonly password: string;
}

/** Users of a registry that wants to know who pulls. Their passwords are canaries as well. */
export const REGISTRY_USERS = {
  alice: { username: 'alice', password: 'canary-registry-alice-1b7e' },
  bob: { username: 'bob', password: 'canary-registry-bob-93fa' },
} as const satisfies Record<string, RegistryUser>;

/** bcrypt of the users' passwords, at its least cost. */
const HTPASSWD = [
  'alice:$2y$04$aliceaaaaaaaaaaaaaaaaOJn4LRxsvXfXkg8Z5YnL/QOVprZrif22',
  'bob:$2y$04$bobbbbbbbbbbbbbbbbbbbOwjSv3pq9MB2somMM/pYXuksDaD2sNjS',
].join('\n');

/** An image to push. */
export interface PushedImage {
  /** `repository:tag`, without the registry. */
  readonly name: string;
  readonly mark: string;
  /** Size of a layer that cannot be compressed. */
  readonly bytes?: number;
}

/** Manifests of one image: older daemons push Docker's own, those with containerd's store that of the OCI. */
const MANIFESTS = 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json';

/** A real image registry of this test run. */
export interface TestRegistry {
  /** `127.0.0.1:port`, as references name it. */
  readonly host: string;
  readonly port: number;
  /** Ends it, as a crash does; its images stay. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /**
   * Makes an image that differs from every other by its mark, and pushes it under `repository:tag`. Nothing of it is
   * left on the daemon.
   *
   * @returns the digest.
   */
  push(client: Dockerode, base: string, image: PushedImage): Promise<string>;
  /** Puts a manifest list that has the image of a tag for this architecture only. */
  putList(of: { repository: string; from: string; to: string; architecture: string }): Promise<void>;
  /** Removes what was pulled from here, and the registry with its images. */
  remove(client: Dockerode): Promise<void>;
}

/** Starts a registry; with authentication, {@link REGISTRY_USERS} may pull and push, and nobody else. */
export async function startTestRegistry(options: { authenticated: boolean; port?: number }): Promise<TestRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-registry-'));
  const port = options.port ?? (await freePort());
  const host = `127.0.0.1:${port}`;
  const user = options.authenticated ? REGISTRY_USERS.alice : undefined;
  const configFile = join(folder, 'config.yml');
  await writeFile(join(folder, 'htpasswd'), HTPASSWD);
  const auth = { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } };
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'images') }, delete: { enabled: true } },
    http: { addr: host, secret: 'of this test' },
    ...(options.authenticated ? { auth } : {}),
  };
  await writeFile(configFile, stringify(config));
  const program = await programPath('registry');
  let server: ChildProcess | undefined;
  const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (user) headers.set('authorization', `Basic ${btoa(`${user.username}:${user.password}`)}`);
    const answer = await fetch(`http://${host}/v2/${path}`, { ...init, headers });
    if (!answer.ok) throw new Error(`the registry answers ${answer.status}: ${await answer.text()}`);
    return answer;
  };
  const registry: TestRegistry = {
    host,
    port,
    stop: async () => {
      if (server?.exitCode === null && server.signalCode === null) {
        const exit = new Promise((resolve) => server?.once('exit', resolve));
        server.kill('SIGKILL');
        await exit;
      }
    },
    start: async () => {
      server = spawn(program, ['serve', configFile], { stdio: 'ignore' });
      await eventually(() => call(''));
    },
    push: async (client, base, { name, mark, bytes = 0 }) => {
      const [repository = '', tag = 'latest'] = name.split(':');
      // Under a tag of its own, which only then becomes the wanted one: what the daemon has under that stays as it is.
      const pushed = `pushed-${randomBytes(8).toString('hex')}`;
      const reference = `${host}/${repository}:${pushed}`;
      const files = { Dockerfile: `FROM ${base}\nENV MARK=${mark}\nCOPY big /`, big: randomBytes(bytes) };
      await finished(client, await client.buildImage(tarOf(files), { t: reference, rm: true }));
      const image = client.getImage(reference);
      const authconfig = { username: '', password: '', ...user, serveraddress: host };
      await finished(client, await image.push({ authconfig }));
      await image.remove({ force: true });
      const manifest = await call(`${repository}/manifests/${pushed}`, { headers: { accept: MANIFESTS } });
      const headers = { 'content-type': manifest.headers.get('content-type') ?? '' };
      await call(`${repository}/manifests/${tag}`, { method: 'PUT', headers, body: await manifest.text() });
      return manifest.headers.get('docker-content-digest') ?? '';
    },
    putList: async ({ repository, from, to, architecture }) => {
      const list = 'application/vnd.docker.distribution.manifest.list.v2+json';
      const answer = await call(`${repository}/manifests/${from}`, { headers: { accept: MANIFESTS } });
      const size = Number(answer.headers.get('content-length'));
      const digest = answer.headers.get('docker-content-digest');
      const mediaType = answer.headers.get('content-type');
      const manifests = [{ mediaType, size, digest, platform: { architecture, os: 'linux' } }];
      const body = JSON.stringify({ schemaVersion: 2, mediaType: list, manifests });
      await call(`${repository}/manifests/${to}`, { method: 'PUT', headers: { 'content-type': list }, body });
    },
    remove: async (client) => {
      await removeImagesOf(client, host);
      await registry.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await registry.start();
  return registry;
}

/** Removes every name that images of a registry have on the daemon, and with the last one the image. */
export async function removeImagesOf(client: Dockerode, host: string): Promise<void> {
  for (const { RepoTags: tags, RepoDigests: digests } of await client.listImages()) {
    const names = [...(tags ?? []), ...(digests ?? [])].filter((name) => name.startsWith(`${host}/`));
    for (const name of names) {
      await client
        .getImage(name)
        .remove({ force: true })
        .catch((error: { statusCode?: number }) => {
          // A digest goes with the last tag of its repository.
          if (error.statusCode !== 404) throw error;
        });
    }
  }
}

async function finished(client: Dockerode, stream: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.modem.followProgress(stream, (error, messages: { error?: string }[]) => {
      const failure = error ?? messages?.find((message) => message.error)?.error;
      if (failure) reject(failure instanceof Error ? failure : new Error(String(failure)));
      else resolve();
    });
  });
}

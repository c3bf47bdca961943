import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import Dockerode from 'dockerode';
import { pack } from 'tar-stream';
import { createDocker, type Docker } from '../../adapters/docker/docker.ts';
import type { PullRecords } from '../../adapters/docker/pull-records.ts';
import { LABEL } from '../../domain/naming.ts';

/** The daemon that the tests share with everything else on the machine. */
export const DOCKER_SOCKET = process.env.DOCKER_SOCKET || '/var/run/docker.sock';

/** A corner of the real daemon that belongs to one test file. */
export interface TestDocker {
  readonly docker: Docker;
  /** The bare client, for looking behind the adapter's back. */
  readonly client: Dockerode;
  /** The bare client of who has networks, where that is another daemon. */
  readonly networks?: Dockerode;
  /** Whether nothing can be made here for another installation. */
  readonly isOwnOnly?: boolean;
  readonly instance: string;
  /** An image with a static busybox and its applets: `sh`, `httpd`, `nc`, `sleep`. */
  readonly image: string;
  /** Ids of this corner's containers. */
  listContainers(): Promise<string[]>;
  /** Removes everything that carries this corner's instance label, and the image. */
  remove(): Promise<void>;
}

/** Opens a corner of the daemon under an instance id of its own. Fails when there is no daemon. */
export async function openTestDocker(
  options: { requestTimeoutMs?: number; socketPath?: string; registrySilenceMs?: number; records?: PullRecords } = {},
): Promise<TestDocker> {
  const instance = randomBytes(4).toString('hex');
  const client = new Dockerode({ socketPath: DOCKER_SOCKET });
  const docker = createDocker({
    socketPath: options.socketPath ?? DOCKER_SOCKET,
    instance,
    nodeAddress: '127.0.0.1',
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    records: options.records,
    registrySilenceMs: options.registrySilenceMs,
  });
  const image = `busybox-of-tests-${instance}:latest`;
  await buildBusybox(client, image);
  const filters = { label: [`${LABEL.instance}=${instance}`] };
  const listContainers = async () => (await client.listContainers({ all: true, filters })).map(({ Id }) => Id);
  return {
    docker,
    client,
    instance,
    image,
    listContainers,
    remove: async () => {
      for (const id of await listContainers()) await client.getContainer(id).remove({ force: true, v: true });
      for (const { Name } of (await client.listVolumes({ filters })).Volumes) await client.getVolume(Name).remove();
      for (const { Id } of await client.listNetworks({ filters })) await client.getNetwork(Id).remove();
      await removeImages(client, filters);
      await client.getImage(image).remove({ force: true });
    },
  };
}

/** Removes all of them: what others are built on goes after those. @throws when one cannot be removed at all */
async function removeImages(client: Dockerode, filters: { readonly label: string[] }): Promise<void> {
  for (let images = await client.listImages({ filters }); images.length > 0; ) {
    const removals = images.map(({ Id }) => client.getImage(Id).remove({ force: true }));
    const outcomes = await Promise.allSettled(removals);
    const left = await client.listImages({ filters });
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (left.length >= images.length && failed) throw failed.reason;
    images = left;
  }
}

/** A tar archive of these files, as a build context. */
export function tarOf(files: Readonly<Record<string, string | Buffer>>): Readable {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name, mode: 0o755 }, content);
  archive.finalize();
  return Readable.from(archive);
}

/** Builds an image with labels that a hostile image might bring along, and a health check that always fails. */
async function buildBusybox(client: Dockerode, tag: string): Promise<void> {
  const dockerfile = [
    'FROM scratch',
    'COPY busybox /bin/busybox',
    'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
    `LABEL traefik.enable=true traefik.http.routers.x.rule=x cloud.obiente.deployment_id=${randomUUID()} cloud.obiente.forged=1 own=kept`,
    'HEALTHCHECK --interval=1s CMD ["/bin/false"]',
    'VOLUME /data',
    'CMD ["/bin/sh", "-c", "httpd -f -p 8080 -h /bin"]',
  ].join('\n');
  const context = tarOf({ Dockerfile: dockerfile, busybox: await readFile('/bin/busybox') });
  const stream = await client.buildImage(context, { t: tag, rm: true, forcerm: true });
  await new Promise<void>((resolve, reject) => {
    client.modem.followProgress(stream, (error, messages: { error?: string }[]) => {
      const failure = error ?? messages?.find((message) => message.error)?.error;
      if (failure) reject(failure instanceof Error ? failure : new Error(String(failure)));
      else resolve();
    });
  });
}

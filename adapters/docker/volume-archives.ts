import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type Dockerode from 'dockerode';
import { LABEL } from '../../domain/naming.ts';
import { type DockerConnection, statusOf } from './connection.ts';
import { createDockerVolumes } from './volumes.ts';

/** What is in the volumes of one daemon, as tar archives. */
export interface DockerVolumeArchives {
  /**
   * Streams all that is in a volume; `use` gets the archive, and nothing of it is left on Docker afterwards.
   *
   * @throws NOT_FOUND (final) when there is no such volume: Docker would make an empty one.
   * @param of `reader` names whoever reads: several may read a volume at a time, each under a name of its own.
   */
  readVolume<Answer>(
    of: { readonly volume: string; readonly reader: string },
    use: (archive: Readable) => Promise<Answer>,
  ): Promise<Answer>;
  /**
   * Makes a volume of an archive, in place of the one of that name: owners, modes, times, links, devices and names as
   * they were. What an attempt leaves that was killed goes with the next.
   *
   * @throws VOLUME_IN_USE (retryable) while a container mounts it; whatever the archive fails with.
   */
  fillVolume(
    volume: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
    archive: Readable,
  ): Promise<void>;
}

/** A volume of terabytes takes hours; that nothing hangs is for the heartbeats of the caller to say. */
const LONGEST_MS = 24 * 3_600_000;

/**
 * Where the helper sees the volume. Archives begin with this folder and are put in above it: Docker refuses to make
 * links that lead out of the folder that an archive is put into, and a volume may hold such.
 */
const PATH = '/volume';

/** Two empty blocks: a tar archive without entries, of which an image of nothing is made. */
const EMPTY_TAR = Buffer.alloc(1024);

/**
 * Creates the part of the adapter that reads and fills volumes.
 *
 * Docker does the work, as root and on its own host, through a container that is created and never started, of an image
 * that is made from nothing on the spot. Both are named after their purpose, so what a killed process leaves of them is
 * removed by the next attempt.
 */
export function createDockerVolumeArchives(
  docker: DockerConnection,
  { instance }: { readonly instance: string },
): DockerVolumeArchives {
  const { client, call } = docker;
  const { ensureVolume, removeVolume } = createDockerVolumes(docker);
  const labels = { [LABEL.managed]: 'true', [LABEL.instance]: instance };

  const makeImage = async (repo: string): Promise<void> => {
    const written = Object.entries(labels).map(([name, value]) => `LABEL ${name}=${value}`);
    await call('make an image of nothing', async () => {
      const options = { repo, tag: 'latest', changes: [...written, 'CMD ["none"]'] };
      const answer = await client.importImage(Readable.from([EMPTY_TAR]), options);
      answer.resume();
      await finished(answer);
    });
  };

  const removeHelper = async (name: string): Promise<void> => {
    await call(`remove container ${name}`, (abortSignal) =>
      client.getContainer(name).remove({ force: true, abortSignal }),
    ).catch(ignoreAbsence);
    await call(`remove image ${name}`, (abortSignal) =>
      client.getImage(`${name}:latest`).remove({ force: true, abortSignal }),
    ).catch(ignoreAbsence);
  };

  const withHelper = async <Answer>(
    { name, volume, readOnly }: { name: string; volume: string; readOnly: boolean },
    use: (container: Dockerode.Container) => Promise<Answer>,
  ): Promise<Answer> => {
    await removeHelper(name);
    try {
      await makeImage(name);
      const mount = { Type: 'volume' as const, Source: volume, Target: PATH, ReadOnly: readOnly };
      const HostConfig = { NetworkMode: 'none', Mounts: [{ ...mount, VolumeOptions: NO_COPY }] };
      const options = { name, Image: `${name}:latest`, Labels: labels, NetworkDisabled: true, HostConfig };
      await call(`create container ${name}`, (abortSignal) => client.createContainer({ ...options, abortSignal }));
      return await use(client.getContainer(name));
    } finally {
      await removeHelper(name);
    }
  };

  return {
    readVolume: async ({ volume, reader }, use) => {
      await call(`look for volume ${volume}`, () => docker.impatient.getVolume(volume).inspect());
      const name = `obiente-${instance}-read-${reader.replaceAll('-', '')}`;
      return await withHelper({ name, volume, readOnly: true }, async (container) => {
        const archive = await call(`read volume ${volume}`, () => container.getArchive({ path: PATH }));
        try {
          return await use(archive as Readable);
        } finally {
          (archive as Readable).destroy();
        }
      });
    },
    fillVolume: async (volume, archive) => {
      const name = `${volume.name}-fill`;
      // It may break off before Docker reads the first byte of it, and then nobody would ever end the call.
      const broken = new AbortController();
      if (archive.errored) throw archive.errored;
      archive.once('error', (error) => broken.abort(error));
      await removeHelper(name);
      await removeVolume(volume.name);
      await ensureVolume(volume);
      await withHelper({ name, volume: volume.name, readOnly: false }, async (container) => {
        const fill = (abortSignal: AbortSignal) => container.putArchive(archive, { path: '/', abortSignal });
        await call(`fill volume ${volume.name}`, fill, { timeoutMs: LONGEST_MS, signal: broken.signal });
      });
    },
  };
}

/** An image's files are not copied into the volume: there are none. */
const NO_COPY = { NoCopy: true, Labels: {}, DriverConfig: { Name: 'local', Options: {} } };

function ignoreAbsence(error: unknown): void {
  if (statusOf(error) !== 404) throw error;
}

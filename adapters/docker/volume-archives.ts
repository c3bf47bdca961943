import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { LABEL } from '../../domain/naming.ts';
import { type DockerConnection, statusOf } from './connection.ts';

/** What is in the volumes of one daemon, as tar archives. */
export interface DockerVolumeArchives {
  /** Streams all that is in a volume; `use` gets the archive, and nothing of it is left on Docker afterwards. */
  readVolume<Answer>(volume: string, use: (archive: Readable) => Promise<Answer>): Promise<Answer>;
  /** Puts what is in an archive into a volume: owners, modes, times, links, devices and names as they were. */
  fillVolume(volume: string, archive: Readable): Promise<void>;
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
 * Docker does the work, as root and on its own host, through a container that is created and never started: of an image
 * made from nothing on the spot. Its name is the volume's, so what a killed process leaves is removed by the next.
 */
export function createDockerVolumeArchives(
  docker: DockerConnection,
  { instance }: { readonly instance: string },
): DockerVolumeArchives {
  const { client, call } = docker;
  const image = `obiente-${instance}/volume-helper:1`;

  const ensureImage = async (): Promise<void> => {
    const changes = [`LABEL ${LABEL.instance}=${instance} ${LABEL.managed}=true`, 'CMD ["none"]'];
    const [repo, tag] = image.split(':');
    await call('make an image of nothing', async () => {
      const answer = await client.importImage(Readable.from([EMPTY_TAR]), { repo, tag, changes });
      answer.resume();
      await finished(answer);
    });
  };

  const remove = async (name: string): Promise<void> => {
    try {
      await call(`remove container ${name}`, (abortSignal) =>
        client.getContainer(name).remove({ force: true, abortSignal }),
      );
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  };

  const withHelper = async <Answer>(
    { volume, readOnly }: { volume: string; readOnly: boolean },
    use: (name: string) => Promise<Answer>,
  ): Promise<Answer> => {
    const name = `${volume}-${readOnly ? 'read' : 'fill'}`;
    await ensureImage();
    await remove(name);
    await call(`create container ${name}`, (abortSignal) =>
      client.createContainer({
        name,
        Image: image,
        Labels: { [LABEL.managed]: 'true', [LABEL.instance]: instance },
        NetworkDisabled: true,
        HostConfig: {
          NetworkMode: 'none',
          Mounts: [{ Type: 'volume', Source: volume, Target: PATH, ReadOnly: readOnly, VolumeOptions: NO_COPY }],
        },
        abortSignal,
      }),
    );
    try {
      return await use(name);
    } finally {
      await remove(name);
    }
  };

  return {
    readVolume: (volume, use) =>
      withHelper({ volume, readOnly: true }, async (name) => {
        const archive = await call(`read volume ${volume}`, () =>
          client.getContainer(name).getArchive({ path: PATH }),
        );
        try {
          return await use(archive as Readable);
        } finally {
          (archive as Readable).destroy();
        }
      }),
    fillVolume: (volume, archive) =>
      withHelper({ volume, readOnly: false }, async (name) => {
        await call(`fill volume ${volume}`, () => client.getContainer(name).putArchive(archive, { path: '/' }), {
          timeoutMs: LONGEST_MS,
        });
      }),
  };
}

const NO_COPY = { NoCopy: true, Labels: {}, DriverConfig: { Name: 'local', Options: {} } };

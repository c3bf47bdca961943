import type { WantedContainer } from '../../domain/container.ts';
import { DomainError } from '../../domain/errors.ts';
import { answerOf, type DockerConnection, statusOf } from './connection.ts';

/** The volumes of one daemon. */
export interface DockerVolumes {
  /** Makes a volume exist. Safe to run twice: the name decides, and one that is there is left as it is. */
  ensureVolume(volume: { name: string; labels: Readonly<Record<string, string>> }): Promise<void>;
  /**
   * Removes a volume with all that is in it; one that does not exist counts as removed.
   *
   * @throws VOLUME_IN_USE (retryable) while a container mounts it, running or not.
   */
  removeVolume(name: string): Promise<void>;
  /** @throws VOLUME_IN_USE (retryable) while there is a container that mounts the volume to write, running or not. */
  requireUnwritten(name: string): Promise<void>;
}

/** Creates the part of the adapter that deals with volumes. */
export function createDockerVolumes(docker: DockerConnection): DockerVolumes {
  const { client, call } = docker;
  return {
    ensureVolume: async ({ name: Name, labels }) => {
      await call(`create volume ${Name}`, (abortSignal) =>
        client.createVolume({ Name, Driver: 'local', Labels: { ...labels }, abortSignal }),
      );
    },
    removeVolume: async (name) => {
      try {
        await call(`remove volume ${name}`, (abortSignal) => client.getVolume(name).remove({ abortSignal }));
      } catch (error) {
        if (statusOf(error) === 404) return;
        if (statusOf(error) !== 409) throw error;
        throw new DomainError('VOLUME_IN_USE', `cannot remove volume ${name}: ${answerOf(error)}`, { cause: error });
      }
    },
    requireUnwritten: async (name) => {
      const writer = await findWriter(docker, name);
      if (writer === undefined) return;
      throw new DomainError('VOLUME_IN_USE', `cannot read volume ${name}: container ${writer} writes it`, {
        hint: 'Wait until that container is gone.',
      });
    },
  };
}

/** Whether a container is the one of this name. */
type IsOwn = (
  container: { readonly Names: string[]; readonly Labels: Record<string, string> },
  name: string,
) => boolean;

const hasItsName: IsOwn = ({ Names }, name) => Names.includes(`/${name}`);

/** Something else writes a volume that a container wants to write. */
export function writtenBy(holder: string, name: string): DomainError {
  return new DomainError('VOLUME_IN_USE', `cannot create ${name}: container ${holder} writes its volume`, {
    hint: 'Wait until that container is gone.',
  });
}

/**
 * Makes sure that a volume is written by one container at a time: the last line of defence, whatever was planned.
 *
 * Whoever creates a container that writes volumes goes through here one after the other, so nobody creates another
 * between the look and the creation. A container that has stopped counts as well, since its daemon may restart it.
 *
 * @param isOwn whether a container is the one that is wanted, made by an earlier attempt.
 */
export function createWriterGuard(docker: DockerConnection, isOwn: IsOwn = hasItsName) {
  let turn: Promise<unknown> = Promise.resolve();

  const check = async ({ name, volumes = [] }: WantedContainer): Promise<void> => {
    for (const volume of volumes.filter(({ readOnly }) => !readOnly)) {
      const holder = await findWriter(docker, volume.name, (container) => isOwn(container, name));
      if (holder !== undefined) throw writtenBy(holder, name);
    }
  };

  /** @throws VOLUME_IN_USE (retryable) */
  return async <Answer>(wanted: WantedContainer, create: () => Promise<Answer>): Promise<Answer> => {
    if (!wanted.volumes?.some(({ readOnly }) => !readOnly)) return await create();
    const own = turn.then(async () => {
      await check(wanted);
      return await create();
    });
    turn = own.catch(() => undefined);
    return await own;
  };
}

/** Finds a container that mounts a volume to write, other than those that do not count. @returns its name */
async function findWriter(
  { client, call }: DockerConnection,
  volume: string,
  isSpared: (container: Parameters<IsOwn>[0]) => boolean = () => false,
): Promise<string | undefined> {
  const found = await call(`look who mounts volume ${volume}`, (abortSignal) =>
    client.listContainers({ all: true, filters: { volume: [volume] }, abortSignal }),
  );
  const writer = found.find(
    (container) => !isSpared(container) && container.Mounts.some((mount) => mount.Name === volume && mount.RW),
  );
  return writer && (writer.Names[0]?.slice(1) ?? writer.Id);
}

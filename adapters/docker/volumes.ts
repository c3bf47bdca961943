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
}

/** Creates the part of the adapter that deals with volumes. */
export function createDockerVolumes({ client, call }: DockerConnection): DockerVolumes {
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
export function createWriterGuard({ client, call }: DockerConnection, isOwn: IsOwn = hasItsName) {
  let turn: Promise<unknown> = Promise.resolve();

  const check = async ({ name, volumes = [] }: WantedContainer): Promise<void> => {
    for (const volume of volumes.filter(({ readOnly }) => !readOnly)) {
      const found = await call(`look who mounts volume ${volume.name}`, (abortSignal) =>
        client.listContainers({ all: true, filters: { volume: [volume.name] }, abortSignal }),
      );
      const other = found.find(
        (container) =>
          !isOwn(container, name) && container.Mounts.some((mount) => mount.Name === volume.name && mount.RW),
      );
      if (other) throw writtenBy(other.Names[0]?.slice(1) ?? other.Id, name);
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

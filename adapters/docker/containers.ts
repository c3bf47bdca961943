import type { ContainerCreateOptions } from 'dockerode';
import { NODE_LABEL, type ObservedContainer, type WantedContainer } from '../../domain/container.ts';
import { DomainError } from '../../domain/errors.ts';
import { LABEL } from '../../domain/naming.ts';
import type { SeenContainer } from '../../domain/reconcile.ts';
import type { RestartPolicy } from '../../domain/spec.ts';
import { answerOf, type DockerConnection, statusOf } from './connection.ts';
import { configHash, toCreateOptions } from './container-options.ts';
import { toObservedContainer } from './observed-container.ts';
import { fromRestartPolicy } from './restart-policy.ts';
import { createWriterGuard } from './volumes.ts';

/** The containers of this installation on one daemon. */
export interface DockerContainers {
  /** Finds a container by id or name; `undefined` means that the daemon says there is none. */
  findContainer(idOrName: string): Promise<ObservedContainer | undefined>;
  /** Ids of all containers of this installation, stopped ones included. Absence from it proves nothing: look by id. */
  listContainerIds(): Promise<readonly string[]>;
  /** The same with their names and labels: as little proof, and written by whoever made them. */
  listContainers(): Promise<readonly SeenContainer[]>;
  /**
   * Creates a container, or adopts the one of that name that an earlier attempt created from the same configuration.
   *
   * @throws REPLICA_CONFLICT (final) when the name is taken by anything else; VOLUME_IN_USE (retryable) while another
   * container writes a volume that this one writes; DOCKER_UNAVAILABLE (retryable) while the
   * daemon is still making or removing one of that name; INVALID_ARGUMENT (final) when neither image nor spec has a
   * command.
   */
  createContainer(wanted: WantedContainer): Promise<{ readonly id: string; readonly adopted: boolean }>;
  /**
   * Starts a container; one that runs already counts as started.
   *
   * @throws REPLICA_EXITED (final) when its command cannot be run; NOT_FOUND when it or its network is gone.
   */
  startContainer(id: string): Promise<void>;
  /**
   * Says what the daemon does by itself when the container exits. Starts and stops nothing: a restart that the daemon
   * has planned already is carried out all the same.
   *
   * @throws NOT_FOUND
   */
  setRestartPolicy(id: string, policy: RestartPolicy): Promise<void>;
  /** Asks a container to end, and kills it after the grace; one that does not run counts as stopped. */
  stopContainer(id: string, graceMs: number): Promise<void>;
  /** Removes a container with its anonymous volumes, and returns once it is gone. Kills it if it still runs. */
  removeContainer(id: string): Promise<void>;
}

/** Longest that Docker may take to remove a container that another call removes at the same time. */
const REMOVAL_MS = 30_000;

/** Creates the part of the adapter that deals with containers. */
export function createDockerContainers(
  docker: DockerConnection,
  installation: { instance: string; nodeAddress: string },
): DockerContainers {
  const { client, call } = docker;
  const labelsOfImages = createImageLabels(docker);
  const asOnlyWriter = createWriterGuard(docker);

  const find = async (idOrName: string): Promise<ObservedContainer | undefined> => {
    try {
      const info = await call(`inspect container ${idOrName}`, (abortSignal) =>
        client.getContainer(idOrName).inspect({ abortSignal }),
      );
      return toObservedContainer(info);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  };

  const create = async (wanted: WantedContainer): Promise<string | undefined> => {
    const { name, ...body } = toCreateOptions(wanted, await labelsOfImages(wanted.imageId), installation.nodeAddress);
    // The client puts into the address whatever it is not told to put into the body: variables would stand in the
    // daemon's log of requests, and a few hundred kilobytes of them would be more than an address may have.
    const request = { _query: { name }, _body: body };
    try {
      const created = await call(`create container ${wanted.name}`, (abortSignal) =>
        client.createContainer({ ...request, abortSignal } as ContainerCreateOptions),
      );
      return created.id;
    } catch (error) {
      if (statusOf(error) === 409) return undefined;
      if (statusOf(error) === 400 && /no command specified/i.test(answerOf(error))) throw nothingToRun(error);
      throw error;
    }
  };

  const list = async () => {
    const filters = { label: [`${LABEL.managed}=true`, `${LABEL.instance}=${installation.instance}`, LABEL.replica] };
    return await call('list containers', (abortSignal) => client.listContainers({ all: true, filters, abortSignal }));
  };

  return {
    findContainer: find,
    listContainerIds: async () => (await list()).map((container) => container.Id),
    listContainers: async () =>
      (await list()).map(({ Id: id, Names: names, Labels: labels }) => ({
        ...{ id, labels },
        name: (names[0] ?? '').replace(/^\//, ''),
      })),
    createContainer: async (wanted) => {
      const id = await asOnlyWriter(wanted, () => create(wanted));
      if (id !== undefined) return { id, adopted: false };
      const found = await find(wanted.name);
      if (found && !isSame(found, wanted)) throw conflict(wanted.name);
      if (found && found.status !== 'dead' && found.status !== 'removing') return { id: found.id, adopted: true };
      if (found) await remove(docker, found.id);
      throw new DomainError(
        'DOCKER_UNAVAILABLE',
        `cannot create container ${wanted.name}: one of that name is just being made or removed`,
      );
    },
    startContainer: async (id) => {
      try {
        await call(`start container ${id}`, (abortSignal) => client.getContainer(id).start({ abortSignal }));
      } catch (error) {
        if (statusOf(error) === 304) return;
        if (statusOf(error) === 400) throw cannotRun(error);
        throw error;
      }
    },
    setRestartPolicy: async (id, policy) => {
      const RestartPolicy = fromRestartPolicy(policy);
      await call(`set the restart policy of container ${id}`, (abortSignal) =>
        client.getContainer(id).update({ RestartPolicy, abortSignal }),
      );
    },
    stopContainer: async (id, graceMs) => {
      const seconds = Math.ceil(graceMs / 1000);
      const options = { timeoutMs: seconds * 1000 + REMOVAL_MS };
      try {
        await call(
          `stop container ${id}`,
          (abortSignal) => client.getContainer(id).stop({ t: seconds, abortSignal }),
          options,
        );
      } catch (error) {
        if (statusOf(error) !== 304 && statusOf(error) !== 404) throw error;
      }
    },
    removeContainer: (id) => remove(docker, id),
  };
}

/** Whether what is found is what was wanted before, by whichever operation. */
export function isSame(found: Pick<ObservedContainer, 'labels'>, wanted: WantedContainer): boolean {
  const identity = [LABEL.instance, LABEL.deploymentId, LABEL.revision, LABEL.replica];
  return (
    identity.every((label) => found.labels[label] === wanted.labels[label]) &&
    found.labels[NODE_LABEL.config] === configHash(wanted)
  );
}

async function remove(docker: DockerConnection, id: string): Promise<void> {
  const container = docker.client.getContainer(id);
  try {
    await docker.call(
      `remove container ${id}`,
      (abortSignal) => container.remove({ force: true, v: true, abortSignal }),
      { timeoutMs: REMOVAL_MS },
    );
  } catch (error) {
    if (statusOf(error) === 404) return;
    if (statusOf(error) !== 409) throw error;
    await docker.call(
      `await the removal of container ${id}`,
      (abortSignal) => container.wait({ condition: 'removed', abortSignal }).catch(ignoreAbsence),
      { timeoutMs: REMOVAL_MS },
    );
  }
}

function ignoreAbsence(error: unknown): void {
  if (statusOf(error) !== 404) throw error;
}

/** Labels of an image never change, and a node runs few images many times: the last hundred are remembered. */
export function createImageLabels(docker: DockerConnection) {
  const known = new Map<string, Readonly<Record<string, string>>>();
  return async (imageId: string): Promise<Readonly<Record<string, string>>> => {
    const remembered = known.get(imageId);
    if (remembered) return remembered;
    const image = await docker.call(`inspect image ${imageId}`, () => docker.impatient.getImage(imageId).inspect());
    const labels = image.Config?.Labels ?? {};
    known.set(imageId, labels);
    const [oldest] = known.keys();
    if (known.size > 100 && oldest !== undefined) known.delete(oldest);
    return labels;
  };
}

/** The name of a replica is taken by something else. */
export function conflict(name: string): DomainError {
  return new DomainError('REPLICA_CONFLICT', `container ${name} exists, but was made from something else`, {
    hint: 'Remove that container by hand if nobody needs it, and deploy again.',
  });
}

/** Nobody says what is to be run. */
export function nothingToRun(cause: unknown): DomainError {
  return new DomainError('INVALID_ARGUMENT', 'there is nothing to run: neither the image nor the spec has a command', {
    cause,
    field: 'spec.command',
    hint: 'Give the image a CMD or ENTRYPOINT, or deploy it with a command.',
  });
}

/** What is to be run cannot be. */
export function cannotRun(cause: unknown, reason = answerOf(cause)): DomainError {
  return new DomainError('REPLICA_EXITED', `the replica's command cannot be run: ${reason}`, {
    cause,
    hint: 'Check the command, and that the image has it.',
  });
}

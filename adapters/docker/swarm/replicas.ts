import type { WantedContainer } from '../../../domain/container.ts';
import { DomainError } from '../../../domain/errors.ts';
import { conflict, createImageLabels, type DockerContainers, isSame } from '../containers.ts';
import { createWriterGuard, writtenBy } from '../volumes.ts';
import { createFindReplica, type ReplicaParts } from './find-replica.ts';
import { toServiceSpec } from './service-spec.ts';
import { createStartTask } from './start-task.ts';
import { isServiceId, SWARM_LABEL } from './swarm-labels.ts';

/** What the replicas of a host need beside looking at them. */
export interface SwarmReplicaParts extends ReplicaParts {
  /** What deals with containers that are no tasks: those of a time before the swarm. */
  readonly plain: DockerContainers;
  /** Swarm's id of this host. @throws as a call to the daemon does, and when it is in no swarm */
  nodeId(): Promise<string>;
}

/**
 * Creates the part that makes, starts, stops and removes the replicas of one host as services, each seen as a container:
 * one that is created has no task, one that is started has one.
 *
 * The name of a service is the replica's, which Swarm gives once, so making it twice finds the first one. Whatever is no
 * service of the platform is left to `plain`.
 */
export function createSwarmReplicas(parts: SwarmReplicaParts): DockerContainers {
  const { docker, services, tasks, plain } = parts;
  const findReplica = createFindReplica(parts);
  const startTask = createStartTask(parts);
  const labelsOfImages = createImageLabels(docker);
  const asOnlyWriter = createWriterGuard(docker, ({ Labels }, name) => Labels[SWARM_LABEL.serviceName] === name);

  const find: DockerContainers['findContainer'] = async (idOrName) =>
    (await findReplica(idOrName)) ?? (isServiceId(idOrName) ? undefined : await plain.findContainer(idOrName));

  /** Services that write a volume and have no container just now. */
  const refuseOtherWriters = async ({ name, volumes = [] }: WantedContainer, nodeId: string): Promise<void> => {
    const written = volumes.filter(({ readOnly }) => !readOnly).map((volume) => volume.name);
    if (written.length === 0) return;
    const others = (await services.list(nodeId)).filter((service) => service.name !== name);
    const writer = others.find(({ writtenVolumes }) => writtenVolumes.some((volume) => written.includes(volume)));
    if (writer) throw writtenBy(writer.name, name);
  };

  const create = async (wanted: WantedContainer): Promise<string | undefined> => {
    const nodeId = await parts.nodeId();
    await refuseOtherWriters(wanted, nodeId);
    return await services.create(toServiceSpec(wanted, await labelsOfImages(wanted.imageId), nodeId));
  };

  return {
    findContainer: find,
    listContainerIds: async () => {
      const found = await tasks.ofInstallation();
      return [...new Set(found.map(({ Id, Labels }) => Labels[SWARM_LABEL.serviceId] ?? Id))];
    },
    listContainers: async () => {
      const found = (await tasks.ofInstallation()).map(({ Id, Names, Labels: labels }) => ({
        id: labels[SWARM_LABEL.serviceId] ?? Id,
        name: labels[SWARM_LABEL.serviceName] ?? (Names[0] ?? '').replace(/^\//, ''),
        labels,
      }));
      return [...new Map(found.map((container) => [container.id, container])).values()];
    },
    createContainer: async (wanted) => {
      const id = await asOnlyWriter(wanted, () => create(wanted));
      if (id !== undefined) return { id, adopted: false };
      const found = await services.find(wanted.name);
      if (!found) throw new DomainError('DOCKER_UNAVAILABLE', `service ${wanted.name} is just being removed`);
      const isHere = found.labels[SWARM_LABEL.node] === (await parts.nodeId());
      if (!isHere || !isSame({ labels: found.containerLabels }, wanted)) throw conflict(wanted.name);
      return { id: found.id, adopted: true };
    },
    startContainer: async (id) => {
      if (isServiceId(id)) await startTask(id);
      else await plain.startContainer(id);
    },
    setRestartPolicy: async (id, policy) => {
      if (!isServiceId(id)) return await plain.setRestartPolicy(id, policy);
      // A service that is told another policy replaces its task: it keeps the one that it was made with.
      if (!(await services.find(id))) throw new DomainError('NOT_FOUND', `there is no service ${id}`);
    },
    stopContainer: async (id, graceMs) => {
      if (!isServiceId(id)) return await plain.stopContainer(id, graceMs);
      await services.setTasks(id, 0);
      // Swarm would stop it as well, but with the time that the service was made with.
      const running = (await tasks.ofService(id)).filter(({ State }) => State === 'running' || State === 'paused');
      await Promise.all(running.map((container) => plain.stopContainer(container.Id, graceMs)));
    },
    removeContainer: async (id) => {
      if (!isServiceId(id)) return await plain.removeContainer(id);
      await services.remove(id);
      for (const container of await tasks.ofService(id)) await plain.removeContainer(container.Id);
    },
  };
}

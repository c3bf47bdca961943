import type { ContainerInfo } from 'dockerode';
import { NODE_LABEL, type ObservedContainer } from '../../../domain/container.ts';
import type { RestartPolicy } from '../../../domain/spec.ts';
import { type DockerConnection, statusOf } from '../connection.ts';
import { toObservedContainer } from '../observed-container.ts';
import { createRestartCount } from './restart-count.ts';
import type { KnownService, SwarmServices } from './services.ts';
import { isServiceId, SWARM_LABEL } from './swarm-labels.ts';
import type { TaskContainers } from './task-containers.ts';

/** What looking at a replica needs. */
export interface ReplicaParts {
  readonly docker: DockerConnection;
  readonly services: SwarmServices;
  readonly tasks: TaskContainers;
}

/**
 * Creates the look at a replica: its service, seen as the container that others take it for. `undefined` when there is no
 * such service.
 *
 * What has a container is told by this host alone, so nothing changes for it while no majority of managers is reached: one
 * that has ended is then taken for one that is wanted. Only of what has none here a manager has to tell.
 */
export function createFindReplica({ docker, services, tasks }: ReplicaParts) {
  const restarts = createRestartCount();

  const inspect = async ({ Id: id }: ContainerInfo): Promise<ObservedContainer | undefined> => {
    try {
      const { client, call } = docker;
      const info = await call(`inspect container ${id}`, (abortSignal) =>
        client.getContainer(id).inspect({ abortSignal }),
      );
      return toObservedContainer(info);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  };

  return async (idOrName: string): Promise<ObservedContainer | undefined> => {
    const found = await tasks.ofService(idOrName);
    const ended = found.filter(({ State }) => State === 'exited' || State === 'dead');
    const lastEnded = ended[0] && (await inspect(ended[0]));
    const id = found[0]?.Labels[SWARM_LABEL.serviceId] ?? '';
    const endings = restarts.count(
      id,
      ended.map((container) => container.Id),
    );
    const [up] = found.filter(({ State }) => State === 'running' || State === 'paused');
    const running = up && (await inspect(up));
    if (running) {
      const ipAddress = await tasks.addressOf(running.id);
      const told = { id, restarts: endings, finishedAt: lastEnded?.finishedAt ?? null, ipAddress };
      return { ...running, ...told, daemonPolicy: policyOf(running.labels) };
    }
    // Before a restart Swarm makes the next container and lets it wait: the one before tells how the replica is.
    const last = lastEnded ?? (found[0] && (await inspect(found[0])));
    const service = await services.find(idOrName).catch((error: unknown) => {
      if (last) return 'unknown' as const;
      throw error;
    });
    if (!service) {
      restarts.forget(id);
      return undefined;
    }
    if (!last) return service === 'unknown' ? undefined : fromService(service);
    const replica = { ...last, id, daemonPolicy: policyOf(last.labels) };
    if ((service !== 'unknown' && service.tasks === 0) || !willRestart(last))
      return { ...replica, restarts: Math.max(0, endings - 1) };
    return { ...replica, status: 'restarting', restarts: endings };
  };
}

/** What Swarm does about a container that has ended, as long as it is wanted. */
function willRestart({ status, exitCode, labels }: ObservedContainer): boolean {
  if (status !== 'exited' && status !== 'dead') return false;
  const policy = policyOf(labels);
  return policy === 'always' || (policy === 'on-failure' && exitCode !== 0);
}

/** A service of which this host has no container: not started yet, stopped, or waiting for its node. */
function fromService({
  id,
  image: imageId,
  containerLabels: labels,
  tasks,
  isChanged,
}: KnownService): ObservedContainer {
  return {
    ...{ id, imageId, labels, status: tasks === 0 && isChanged ? 'exited' : 'created' },
    ...{ exitCode: null, outOfMemory: false, restarts: 0, startedAt: null, finishedAt: null },
    daemonPolicy: policyOf(labels),
    ...{ ipAddress: null, hostPort: null, dockerHealth: null },
  };
}

/** Written down when the service was made: Swarm keeps to it. */
function policyOf(labels: Readonly<Record<string, string>>): RestartPolicy {
  const policy = labels[NODE_LABEL.restart];
  return policy === 'always' || policy === 'on-failure' ? policy : 'never';
}

/** The container of a service on this host that has printed last. @returns the id as it is, when it is no service's */
export async function containerIdOf(id: string, tasks: TaskContainers): Promise<string> {
  if (!isServiceId(id)) return id;
  const found = await tasks.ofService(id);
  return (found.find(({ State }) => State !== 'created') ?? found[0])?.Id ?? id;
}

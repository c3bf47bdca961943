import { createDockerConnection } from '../connection.ts';
import { createDocker, type Docker, type DockerOptions } from '../docker.ts';
import { createDockerEvents } from '../events.ts';
import { containerIdOf } from './find-replica.ts';
import { createSwarmHost } from './health.ts';
import { createSwarmNetworks } from './networks.ts';
import { createSwarmOrphans } from './orphans.ts';
import { createSwarmReplicas } from './replicas.ts';
import { createSwarmServices } from './services.ts';
import { SWARM_LABEL } from './swarm-labels.ts';
import { createTaskContainers } from './task-containers.ts';

/** Where the daemon is, and who is told what is weaker on this host than the platform would have it. */
export interface SwarmOptions extends DockerOptions {
  tell(weakness: string): void;
}

/**
 * Creates the adapter for a host that is a manager of a Docker Swarm, without touching the daemon: what plain Docker does,
 * with services for replicas and networks that all hosts share.
 */
export function createSwarm(options: SwarmOptions): Docker {
  const connection = createDockerConnection(options);
  const { instance, nodeAddress, tell } = options;
  const plain = createDocker(options);
  const services = createSwarmServices(connection);
  const tasks = createTaskContainers(connection, instance);
  const { nodeId, ...host } = createSwarmHost(connection, { plain, nodeAddress, tell });
  return {
    ...plain,
    ...host,
    ...createSwarmNetworks(connection),
    ...createSwarmReplicas({ docker: connection, services, tasks, plain, nodeId }),
    ...createSwarmOrphans(connection, { services, plain, nodeId }),
    ...createDockerEvents(connection, instance, (labels) => labels[SWARM_LABEL.serviceId]),
    streamLogs: async function* (request, signal) {
      yield* plain.streamLogs({ ...request, containerId: await containerIdOf(request.containerId, tasks) }, signal);
    },
    readLogTail: async (id, lines) => await plain.readLogTail(await containerIdOf(id, tasks), lines),
  };
}

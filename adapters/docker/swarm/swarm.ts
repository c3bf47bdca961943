import { createDockerConnection } from '../connection.ts';
import { createDocker, type Docker, type DockerOptions } from '../docker.ts';
import { createDockerEvents } from '../events.ts';
import { containerIdOf } from './find-replica.ts';
import { createSwarmHealth } from './health.ts';
import { type AskManagers, createManaging, createOwnManaging, type OwnManaging } from './managing.ts';
import { createMembership, type SwarmMembership } from './membership.ts';
import { createSwarmNetworks } from './networks.ts';
import { createSwarmOrphans } from './orphans.ts';
import { createBridges } from './overlays.ts';
import { createSwarmReplicas } from './replicas.ts';
import { SWARM_LABEL } from './swarm-labels.ts';
import { createTaskContainers } from './task-containers.ts';

/** Where the daemon is, and who is told what is weaker on this host than the platform would have it. */
export interface SwarmOptions extends DockerOptions {
  tell(weakness: string): void;
  /** How managers are asked where this host is none; without it, a worker is refused. */
  readonly askManagers?: AskManagers | undefined;
}

/** A host of a Docker Swarm. */
export interface Swarm extends Docker {
  readonly membership: SwarmMembership;
  /** What this host's own daemon does about the swarm, for itself and for workers, while it is a manager's. */
  readonly own: OwnManaging;
  /** Whether what the host is in its swarm became another since it was described last. */
  isOutdated(): boolean;
}

/**
 * Creates the adapter for a host of a Docker Swarm, without touching the daemon: what plain Docker does, with services for
 * replicas and networks that all hosts share. Those are the managers' work, everything else is its own daemon's.
 */
export function createSwarm(options: SwarmOptions): Swarm {
  const connection = createDockerConnection(options);
  const { instance, nodeAddress, tell, askManagers } = options;
  const plain = createDocker(options);
  const membership = createMembership(connection);
  const bridges = createBridges(connection);
  const own = createOwnManaging(connection, bridges);
  const managing = createManaging({ membership, own, others: askManagers?.(membership) });
  const { services, overlays } = managing;
  const tasks = createTaskContainers(connection, instance);
  const nodeId = async () => (await membership.recent()).nodeId;
  return {
    ...{ membership, own },
    ...plain,
    ...createSwarmHealth(connection, { plain, membership, managing, nodeAddress, tell }),
    ...createSwarmNetworks({ overlays, bridges, membership }),
    ...createSwarmReplicas({ docker: connection, services, tasks, plain, nodeId }),
    ...createSwarmOrphans({ managing, membership, plain }),
    ...createDockerEvents(connection, instance, (labels) => labels[SWARM_LABEL.serviceId]),
    streamLogs: async function* (request, signal) {
      yield* plain.streamLogs({ ...request, containerId: await containerIdOf(request.containerId, tasks) }, signal);
    },
    readLogTail: async (id, lines) => await plain.readLogTail(await containerIdOf(id, tasks), lines),
  };
}

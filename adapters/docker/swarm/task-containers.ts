import type { ContainerInfo } from 'dockerode';
import { LABEL } from '../../../domain/naming.ts';
import { type DockerConnection, statusOf } from '../connection.ts';
import { isServiceId, SWARM_LABEL } from './swarm-labels.ts';

/** The containers of this host's tasks, asked of its own daemon: what runs here is known without any manager. */
export interface TaskContainers {
  /** Those of one service, newest first, by its id or its name. */
  ofService(idOrName: string): Promise<readonly ContainerInfo[]>;
  /** Those of all replicas of this installation, and its other containers. */
  ofInstallation(): Promise<readonly ContainerInfo[]>;
  /** Where this host reaches a container of a task; `null` when it has no way out of its overlay network. */
  addressOf(containerId: string): Promise<string | null>;
}

/** The bridge by which every daemon of a swarm joins containers to their host. */
export const GATEWAY_BRIDGE = 'docker_gwbridge';

/** Creates the part that looks at the containers of tasks. */
export function createTaskContainers({ client, impatient, call }: DockerConnection, instance: string): TaskContainers {
  const list = async (label: readonly string[]): Promise<ContainerInfo[]> =>
    await call('list containers', (abortSignal) =>
      client.listContainers({ all: true, filters: { label: [...label] }, abortSignal }),
    );
  /** By its name it would be looked for in the whole swarm, which answers only where a majority of managers is reached. */
  let bridgeId: string | undefined;
  const bridge = async () => {
    try {
      const id = bridgeId ?? GATEWAY_BRIDGE;
      const found = await call(`inspect network ${GATEWAY_BRIDGE}`, () => impatient.getNetwork(id).inspect());
      bridgeId = found.Id;
      return found;
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      // Made anew since then, perhaps: the next look goes by the name.
      bridgeId = undefined;
      return undefined;
    }
  };

  return {
    ofService: async (idOrName) => {
      const label = isServiceId(idOrName) ? SWARM_LABEL.serviceId : SWARM_LABEL.serviceName;
      const found = await list([`${label}=${idOrName}`]);
      return found.sort((one, other) => other.Created - one.Created || (one.Id < other.Id ? -1 : 1));
    },
    ofInstallation: () => list([`${LABEL.managed}=true`, `${LABEL.instance}=${instance}`, LABEL.replica]),
    addressOf: async (containerId) => {
      const attached = (await bridge())?.Containers ?? {};
      return attached[containerId]?.IPv4Address.split('/')[0] || null;
    },
  };
}

import type { MeteredContainer } from '../../domain/metrics/reading.ts';
import { LABEL } from '../../domain/naming.ts';
import { type DockerConnection, statusOf } from './connection.ts';

/** The containers that can be measured. */
export interface DockerMeteredContainers {
  /**
   * Finds a container that runs, with what measuring it needs.
   *
   * @returns `undefined` when the daemon says that it does not exist or does not run, or it is no replica of this
   * installation.
   * @throws DOCKER_UNAVAILABLE (retryable).
   */
  findMetered(id: string): Promise<MeteredContainer | undefined>;
}

/** Creates the part of the adapter that finds containers to measure. */
export function createDockerMeteredContainers(docker: DockerConnection, instance: string): DockerMeteredContainers {
  return {
    findMetered: async (id) => {
      try {
        const { Id, State, Config } = await docker.call(`inspect container ${id}`, (abortSignal) =>
          docker.client.getContainer(id).inspect({ abortSignal }),
        );
        const labels = Config.Labels ?? {};
        const [deploymentId, replicaId] = [labels[LABEL.deploymentId], labels[LABEL.replica]];
        if (labels[LABEL.instance] !== instance || !deploymentId || !replicaId) return undefined;
        if (!State.Running || State.Pid === 0) return undefined;
        return { id: Id, pid: State.Pid, startedAt: State.StartedAt, deploymentId, replicaId };
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    },
  };
}

import pLimit from 'p-limit';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import type { MeteredContainer } from '../../domain/metrics/reading.ts';
import { DOCKER_SOCKET, type TestDocker } from '../../test/support/docker.ts';
import { startReplica } from '../../test/support/metered.ts';

/** A small node does not start them faster when it is asked for more at once. */
const STARTS_AT_ONCE = 4;

/** Running containers under measurement, in the order in which they were started. */
export type Containers = Map<string, MeteredContainer>;

/** Starts idle containers until there are so many. */
export async function growTo(corner: TestDocker, containers: Containers, count: number): Promise<void> {
  const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 60_000 });
  const { findMetered } = createDockerMeteredContainers(connection, corner.instance);
  const limit = pLimit(STARTS_AT_ONCE);
  const start = async (index: number): Promise<void> => {
    const id = await startReplica(corner, { replicaId: `r1-${index}`, command: ['sleep', '3600'] });
    const found = await findMetered(id);
    if (!found) throw new Error('a container has ended');
    containers.set(id, found);
  };
  const missing = Array.from({ length: count - containers.size }, (_, index) => containers.size + index);
  await Promise.all(missing.map((index) => limit(start, index)));
}

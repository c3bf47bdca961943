import { LABEL } from '../../domain/naming.ts';
import type { TestDocker } from './docker.ts';
import { aSample } from './samples.ts';

/** Starts a container with a replica's labels, as bare as can be. */
export async function startReplica(
  corner: TestDocker,
  options: { replicaId: string; command: readonly string[]; cpuCores?: number; memoryBytes?: number },
): Promise<string> {
  const { deploymentId } = aSample();
  const container = await corner.client.createContainer({
    Image: corner.image,
    Cmd: [...options.command],
    Labels: {
      [LABEL.managed]: 'true',
      [LABEL.instance]: corner.instance,
      [LABEL.deploymentId]: deploymentId,
      [LABEL.replica]: options.replicaId,
    },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      Memory: options.memoryBytes ?? 128 * 1024 * 1024,
      ...(options.cpuCores === undefined ? {} : { NanoCpus: options.cpuCores * 1e9 }),
    },
  });
  await container.start();
  return container.id;
}

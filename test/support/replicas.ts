import { randomUUID } from 'node:crypto';
import { planContainer } from '../../activities/plan-container.ts';
import type { ReplicaTemplate } from '../../contracts/rollout.ts';
import { networkName, ownedLabels } from '../../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, ONLY_SERVICE, PLAIN_CONTAINER } from '../../domain/spec.ts';
import type { TestDocker } from './docker.ts';

/** What differs between the replicas of a test; all else is as a rollout makes it. */
export type ReplicaChanges = Partial<
  Pick<ReplicaTemplate, 'deploymentId' | 'command' | 'port' | 'healthCheck' | 'limits' | 'restartPolicy'>
>;

/** Answers with what starts a replica, of a deployment of its own, in a corner of Docker. It sleeps unless told else. */
export async function createReplicaStarter(test: TestDocker): Promise<(changes?: ReplicaChanges) => Promise<string>> {
  const { docker, instance } = test;
  const projectId = randomUUID();
  const wanted = { kind: 'reference', reference: test.image, digest: null } as const;
  const { imageId } = await docker.ensureImage(wanted, { deploymentId: randomUUID() });
  const labels = ownedLabels({ instance, projectId });
  await docker.ensureNetwork({ name: networkName(instance, projectId), labels });
  return async (changes = {}) => {
    const template: ReplicaTemplate = {
      ...{ deploymentId: randomUUID(), projectId, service: ONLY_SERVICE, serviceName: 'app' },
      ...{ operationId: randomUUID(), revision: 2 },
      ...{
        port: null,
        command: ['/bin/sleep', '600'],
        healthCheck: DEFAULT_HEALTH_CHECK,
        limits: DEFAULT_LIMITS,
        ONLY_SERVICE,
      },
      ...{ restartPolicy: 'always', hasEnvironment: false, container: PLAIN_CONTAINER, ...changes },
    };
    const input = { template, replicaId: 'r2-0', index: 0, image: wanted };
    const { id } = await docker.createContainer(planContainer(input, { instance, imageId, environment: {} }));
    await docker.startContainer(id);
    return id;
  };
}

import { Context } from '@temporalio/activity';
import type { EnsureReplicaInput } from '../contracts/node-activities.ts';
import type { NamedImage, ReplicaTemplate } from '../contracts/rollout.ts';
import type { PresentImage } from '../domain/container.ts';
import { containerName, LABEL, networkName, ownedLabels, volumeLabels, volumeName } from '../domain/naming.ts';
import { ONLY_SERVICE } from '../domain/spec.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { ReplicaPorts } from './node-ports.ts';

/** Everything that a container needs before it is created, at once: none of it depends on the rest. */
export async function prepare(
  input: EnsureReplicaInput,
  ports: ReplicaPorts,
  heartbeats: Heartbeats,
): Promise<{ image: PresentImage; environment: Readonly<Record<string, string>> }> {
  const { deploymentId, revision, service, hasEnvironment } = input.template;
  const [image, environment] = await Promise.all([
    ensureImage(input, ports, heartbeats),
    hasEnvironment ? ports.fetchEnvironment({ deploymentId, revision, service }) : {},
    ports.runtime.ensureNetwork(networkOf(input.template, ports.instance)),
    ensureVolumes(input.template, ports),
  ]);
  return { image, environment };
}

async function ensureImage(
  input: EnsureReplicaInput,
  ports: ReplicaPorts,
  heartbeats: Heartbeats,
): Promise<PresentImage> {
  const { template, image } = input;
  const { deploymentId, revision, service } = template;
  const signal = Context.current().cancellationSignal;
  const onProgress = (status: string) => heartbeats.report({ step: 'pull', status });
  if (image.kind === 'built') {
    const wanted = { deploymentId, revision, service, imageId: image.imageId };
    return await ports.ensureBuiltImage(wanted, { signal, onProgress });
  }
  return await ports.runtime.ensureImage(image, {
    deploymentId,
    findEarlierImageId: () => findEarlierImage(input, image, ports),
    fetchCredential: () => ports.fetchRegistryCredential({ deploymentId, revision, service }),
    ...{ signal, onProgress },
  });
}

async function ensureVolumes({ projectId, volumes = [] }: ReplicaTemplate, { instance, runtime }: ReplicaPorts) {
  const wanted = new Map(volumes.map((volume) => [volumeName(instance, volume), volume.volumeId]));
  for (const [name, volumeId] of wanted) {
    await runtime.ensureVolume({ name, labels: volumeLabels({ instance, projectId, volumeId }) });
  }
}

/** A tag may have moved since an earlier attempt created the container, which is adopted as it is. */
async function findEarlierImage(
  { template, index }: EnsureReplicaInput,
  image: NamedImage,
  { instance, runtime }: ReplicaPorts,
): Promise<string | undefined> {
  if (image.digest !== null) return undefined;
  const { deploymentId, revision, operationId } = template;
  const found = await runtime.findContainer(containerName({ instance, deploymentId, revision, index }));
  return found?.labels[LABEL.operation] === operationId ? found.imageId : undefined;
}

/** Whether a service is the only one of its deployment. One of several may be called the same; its cohort tells. */
export function isAlone({ service, cohort }: ReplicaTemplate): boolean {
  return service === ONLY_SERVICE && cohort === undefined;
}

/**
 * The private network of a replica on this host: its project's, where deployments reach each other by their names, or
 * its deployment's own, where services do.
 */
export function networkOf(template: ReplicaTemplate, instance: string) {
  const { deploymentId, projectId } = template;
  if (isAlone(template)) {
    return { name: networkName(instance, projectId), labels: ownedLabels({ instance, projectId }) };
  }
  return { name: networkName(instance, deploymentId), labels: ownedLabels({ instance, projectId, deploymentId }) };
}

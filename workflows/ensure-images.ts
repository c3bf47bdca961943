import { executeChild } from '@temporalio/workflow';
import { BUILD_WORKFLOW, type BuildInput, buildWorkflowId } from '../contracts/build.ts';
import type { BuiltImage } from '../contracts/node-activities.ts';
import type { BuildSource, ReplicaTemplate, ServicePlan, WantedImage } from '../contracts/rollout.ts';
import { WORKFLOW_TASK_MS } from '../contracts/timing.ts';
import { lookingUp, store } from './activity-stubs.ts';
import { allOrCancelled } from './all-or-cancelled.ts';
import type { Rollout } from './converge.ts';

/** Says which image the replicas of each service run; builds it first where it is not there yet. */
export async function ensureImages(rollout: Rollout): Promise<void> {
  const { services } = rollout.plan;
  await allOrCancelled(
    services.map((service) => async () => {
      rollout.images.set(service.template.service, await ensureImage(rollout, service));
    }),
  );
}

async function ensureImage(
  rollout: Rollout,
  { template, source, imageDigest, buildNodeId: nodeId }: ServicePlan,
): Promise<WantedImage> {
  if (source.kind === 'image') {
    const pullPolicy = source.pullPolicy === undefined ? {} : { pullPolicy: source.pullPolicy };
    return { kind: 'reference', reference: source.reference, digest: imageDigest, ...pullPolicy };
  }
  if (imageDigest !== null) return { kind: 'built', imageId: imageDigest };
  if (nodeId === null) throw new Error(`nobody builds the image of ${template.service}`);
  const { deploymentId, projectId, service, revision } = template;
  const { timing } = rollout;
  const pinned = await pinSource(rollout, { template, source, nodeId });
  const input: BuildInput = { deploymentId, projectId, revision, service, source: pinned, nodeId, timing };
  const built = await executeChild<(input: BuildInput) => Promise<BuiltImage>>(BUILD_WORKFLOW, {
    workflowId: buildWorkflowId({ deploymentId, revision, service }),
    args: [input],
    workflowTaskTimeout: WORKFLOW_TASK_MS,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    parentClosePolicy: 'REQUEST_CANCEL',
  });
  await store.recordBuild({ ...rollout.ref, service, revision, ...built });
  return { kind: 'built', imageId: built.imageId };
}

interface Pinning {
  readonly template: ReplicaTemplate;
  readonly source: Exclude<ServicePlan['source'], { kind: 'image' }>;
  readonly nodeId: string;
}

/** Finds out once which commit a ref stands for; every attempt of the build is of that one. */
async function pinSource({ ref, timing }: Rollout, { template, source, nodeId }: Pinning): Promise<BuildSource> {
  if (source.kind !== 'git') return source;
  if (source.commit !== null) return { ...source, commit: source.commit };
  const { deploymentId, service, revision } = template;
  const { url, ref: name } = source;
  const found = await lookingUp(nodeId, timing).resolveSource({ deploymentId, revision, service, url, ref: name });
  const { commit } = await store.recordSource({ ...ref, service, revision, ...found });
  return { ...source, commit };
}

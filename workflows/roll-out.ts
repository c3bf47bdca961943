import { CancellationScope, executeChild, log, sleep } from '@temporalio/workflow';
import { BUILD_WORKFLOW, type BuildInput, buildWorkflowId } from '../contracts/build.ts';
import type { PendingOperation } from '../contracts/deployment.ts';
import type { PlannedReplica, RolloutPlan, StartedReplica, WantedImage } from '../contracts/rollout.ts';
import type { RolloutTiming } from '../contracts/timing.ts';
import { nextStep, type RolloutPhase, type RolloutStep } from '../domain/rollout.ts';
import { atIngress, onNode, store } from './activity-stubs.ts';
import { toOperationFailure } from './failures.ts';

/** How many replicas of one rollout are started at a time; a node bounds its own share further. */
const START_BATCH = 100;

/** A replica as this rollout goes along. */
interface Tracked extends PlannedReplica {
  readonly revision: number;
  phase: RolloutPhase;
  started?: StartedReplica;
}

/** One rollout under way: what was decided, what exists, and how to take it back. */
interface Rollout {
  readonly deploymentId: string;
  readonly operation: PendingOperation;
  readonly timing: RolloutTiming;
  readonly plan: RolloutPlan;
  readonly tracked: Map<string, Tracked>;
  readonly unstarted: Map<string, PlannedReplica>;
  readonly undo: (() => Promise<void>)[];
  image: WantedImage | null;
}

/**
 * Brings one revision up: place → make the image present → start the new replicas → wait until they are healthy →
 * switch the routes → observe the ingress serving them → drain and remove the old → record.
 *
 * A phase of the `deployment` workflow, in its history. Every step pushes its undo; until the ingress was seen serving
 * the new revision a failure or a cancel runs the undos in reverse, and the old revision goes on serving. After that
 * there is no way back, and the rest is finished even when cancelled. Ends with the operation recorded either way.
 */
export async function rollOut(deploymentId: string, operation: PendingOperation, timing: RolloutTiming): Promise<void> {
  const undo: Rollout['undo'] = [];
  try {
    const plan = await store.beginRollout({
      deploymentId,
      operationId: operation.operationId,
      revision: operation.revision,
    });
    const rollout = track({ deploymentId, operation, timing, plan, undo });
    rollout.image = await ensureImage(rollout);
    await advance(rollout);
    await store.finishOperation({ deploymentId, operationId: operation.operationId });
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      await undoAll(undo);
      const failure = toOperationFailure(error);
      await store.failOperation({ deploymentId, operationId: operation.operationId, failure });
    });
  }
}

function track(start: Pick<Rollout, 'deploymentId' | 'operation' | 'timing' | 'plan' | 'undo'>): Rollout {
  const existing = start.plan.existing.map((replica): [string, Tracked] => [
    replica.replicaId,
    { ...replica, phase: replica.serving ? 'serving' : 'starting' },
  ]);
  const planned = start.plan.planned.map((replica): [string, PlannedReplica] => [replica.replicaId, replica]);
  return { ...start, tracked: new Map(existing), unstarted: new Map(planned), image: null };
}

/** Says which image the replicas run; builds it first when it comes from a Dockerfile. */
async function ensureImage({ deploymentId, plan, timing }: Rollout): Promise<WantedImage | null> {
  const { source, template } = plan;
  if (source.kind === 'image') return { kind: 'reference', reference: source.reference, digest: plan.imageDigest };
  const builder = plan.planned[0];
  if (!builder) return null;
  if (plan.imageDigest !== null) return { kind: 'built', imageId: plan.imageDigest };
  const input: BuildInput = {
    deploymentId,
    projectId: template.projectId,
    revision: template.revision,
    contextSha256: source.contextSha256,
    dockerfilePath: source.dockerfilePath,
    nodeId: builder.nodeId,
    timing,
  };
  const { imageId } = await executeChild<(input: BuildInput) => Promise<{ imageId: string }>>(BUILD_WORKFLOW, {
    workflowId: buildWorkflowId(deploymentId, template.revision),
    args: [input],
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    parentClosePolicy: 'REQUEST_CANCEL',
  });
  await store.recordBuild({ deploymentId, operationId: template.operationId, revision: template.revision, imageId });
  return { kind: 'built', imageId };
}

async function advance(rollout: Rollout): Promise<void> {
  for (let step = plannedStep(rollout); step.kind !== 'done'; step = plannedStep(rollout)) {
    if (step.kind === 'start') await startReplicas(rollout, step.replicaIds);
    else if (step.kind === 'switch') await switchRoutes(rollout, step);
    else await CancellationScope.nonCancellable(() => removeReplicas(rollout, step.replicaIds));
  }
}

/** New replicas all start before old ones go: then a failure never leaves less than there was. */
function plannedStep({ plan, tracked, unstarted }: Rollout): RolloutStep {
  const desired = plan.planned.length;
  return nextStep({
    revision: plan.template.revision,
    desired,
    surge: Math.max(desired, tracked.size),
    unstarted: [...unstarted.keys()],
    replicas: [...tracked.values()],
  });
}

/** The first one alone while the digest is open, so that all replicas of a revision run the same image. */
async function startReplicas(rollout: Rollout, replicaIds: readonly string[]): Promise<void> {
  const rest = [...replicaIds];
  while (rest.length > 0) {
    const pinned = rollout.image?.kind === 'built' || rollout.image?.digest != null;
    const batch = rest.splice(0, pinned ? START_BATCH : 1);
    await allOrCancelled(batch.map((replicaId) => () => startReplica(rollout, replicaId)));
  }
}

async function startReplica(rollout: Rollout, replicaId: string): Promise<void> {
  const { plan, timing, image } = rollout;
  const replica = rollout.unstarted.get(replicaId);
  if (!replica || !image) return;
  rollout.unstarted.delete(replicaId);
  const tracked: Tracked = { ...replica, revision: plan.template.revision, phase: 'starting' };
  rollout.tracked.set(replicaId, tracked);
  rollout.undo.push(() => removeContainer(rollout, tracked));
  const { startPeriodMs, intervalMs, timeoutMs, retries } = plan.template.healthCheck;
  const healthMs = startPeriodMs + retries * (intervalMs + timeoutMs);
  tracked.started = await onNode(replica.nodeId, timing, healthMs).ensureReplica({
    template: plan.template,
    replicaId,
    index: replica.index,
    image,
  });
  tracked.phase = 'ready';
  if (image.kind === 'reference') rollout.image = { ...image, digest: tracked.started.imageDigest };
}

async function switchRoutes(
  rollout: Rollout,
  step: { serve: readonly string[]; drain: readonly string[] },
): Promise<void> {
  const { deploymentId, operation, tracked, timing } = rollout;
  const resume = step.drain.filter((replicaId) => tracked.get(replicaId)?.phase === 'serving');
  const ref = { deploymentId, operationId: operation.operationId, revision: operation.revision };
  rollout.undo.push(async () => {
    const undone = await store.switchRoutes({ ...ref, serve: [], resume, drain: step.serve });
    await observe(undone.generation, timing);
  });
  const serve = step.serve.flatMap((replicaId) => tracked.get(replicaId)?.started ?? []);
  const { generation } = await store.switchRoutes({ ...ref, serve, resume: [], drain: step.drain });
  await observe(generation, timing);
  for (const replicaId of step.serve) setPhase(rollout, replicaId, 'serving');
  for (const replicaId of step.drain) setPhase(rollout, replicaId, 'drained');
  if (rollout.unstarted.size === 0) rollout.undo.length = 0;
  if (generation !== null && resume.length > 0) await CancellationScope.nonCancellable(() => sleep(timing.drainMs));
}

/** Success is observed: returns once the ingress was seen serving the generation. */
async function observe(generation: number | null, timing: RolloutTiming): Promise<void> {
  if (generation !== null) await atIngress(timing).awaitIngress({ generation, timeoutMs: timing.ingressMs });
}

function setPhase(rollout: Rollout, replicaId: string, phase: RolloutPhase): void {
  const tracked = rollout.tracked.get(replicaId);
  if (tracked) tracked.phase = phase;
}

/** A replica whose node does not answer stays recorded, so that it is found and removed when the node returns. */
async function removeReplicas(rollout: Rollout, replicaIds: readonly string[]): Promise<void> {
  const removals = replicaIds.flatMap((replicaId) => rollout.tracked.get(replicaId) ?? []);
  const outcomes = await Promise.allSettled(removals.map((replica) => removeContainer(rollout, replica)));
  const removed = removals.filter((_, index) => outcomes[index]?.status === 'fulfilled');
  for (const replica of removals) rollout.tracked.delete(replica.replicaId);
  if (removed.length < removals.length) log.warn('old replicas are left on nodes that do not answer');
  await store.forgetReplicas({
    deploymentId: rollout.deploymentId,
    operationId: rollout.operation.operationId,
    replicaIds: removed.map((replica) => replica.replicaId),
  });
}

async function removeContainer({ deploymentId, timing }: Rollout, replica: Tracked): Promise<void> {
  const { revision, index, nodeId } = replica;
  await onNode(nodeId, timing, timing.stopGraceMs).removeReplica({
    deploymentId,
    revision,
    index,
    stopGraceMs: timing.stopGraceMs,
  });
}

/** Runs all; when one fails the others are cancelled and waited for, so that nothing acts after the undo. */
async function allOrCancelled(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  await CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    const running = tasks.map((task) =>
      task().catch((error: unknown) => {
        scope.cancel();
        throw error;
      }),
    );
    const outcomes = await Promise.allSettled(running);
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    if (failures.length > 0)
      throw failures.find((failure) => toOperationFailure(failure).code !== 'CANCELLED') ?? failures[0];
  });
}

/** In reverse order; one that fails does not keep the others from running. */
async function undoAll(undo: Rollout['undo']): Promise<void> {
  for (const step of [...undo].reverse()) {
    await step().catch((error: unknown) => log.warn('a step could not be undone', { error: String(error) }));
  }
}

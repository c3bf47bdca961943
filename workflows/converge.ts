import { CancellationScope, condition, log, sleep } from '@temporalio/workflow';
import type { OperationRef } from '../contracts/activities.ts';
import type {
  ExistingReplica,
  PlannedReplica,
  RolloutPlan,
  StartedReplica,
  WantedImage,
} from '../contracts/rollout.ts';
import type { RolloutTiming } from '../contracts/timing.ts';
import { nextStep, type RolloutPhase, type RolloutStep } from '../domain/rollout.ts';
import { assess, wantedServices } from '../domain/rollout-goal.ts';
import { atIngress, onStoppingNode, store } from './activity-stubs.ts';
import { noLongerHealthy } from './failures.ts';
import { passGate } from './gates.ts';
import { startReplicas } from './start-replicas.ts';
import { tellDoomed } from './tell-doomed.ts';
import type { Words } from './words.ts';

/** A replica as this rollout goes along. */
export interface Tracked extends PlannedReplica {
  readonly wanted: boolean;
  readonly nodeLost: boolean;
  phase: RolloutPhase;
  started?: StartedReplica;
}

/** One way to a goal: what was decided, and what exists. */
export interface Rollout {
  readonly ref: OperationRef;
  readonly plan: RolloutPlan;
  readonly timing: RolloutTiming;
  /** What people say; absent on the way back, which nobody stops. */
  readonly words: Words | undefined;
  readonly tracked: Map<string, Tracked>;
  /** Reserved, and not given to a node yet. */
  unstarted: PlannedReplica[];
  /** By service. */
  readonly images: Map<string, WantedImage>;
  readonly passed: string[];
  weightPercent: number | null;
  /** Reservations made so far; names the next one. */
  batch: number;
  /** Replicas that were placed anew, since their node's daemon was in trouble. */
  placedAnew: number;
  /** Whether the volumes that go along have arrived. */
  carried: boolean;
}

/** Begins with what is recorded. */
export function track(
  from: Pick<Rollout, 'ref' | 'plan' | 'timing'> & { readonly words?: Words; readonly batch?: number },
): Rollout {
  const { plan } = from;
  const existing = assess<ExistingReplica>(plan.goal, plan.existing, plan);
  return {
    ...from,
    words: from.words,
    tracked: new Map(existing.map((replica) => [replica.replicaId, { ...replica }])),
    unstarted: [...plan.reserved],
    images: new Map(),
    passed: [],
    weightPercent: null,
    batch: from.batch ?? 0,
    placedAnew: 0,
    carried: false,
  };
}

/** Does one step after the other until there is nothing left to do. Between two steps a person may hold it. */
export async function converge(rollout: Rollout): Promise<void> {
  for (let step = planned(rollout); step.kind !== 'done'; step = planned(rollout)) {
    await whilePaused(rollout);
    await perform(rollout, step);
  }
}

function planned({ plan, tracked, weightPercent, passed }: Rollout): RolloutStep {
  const services = wantedServices(plan);
  return nextStep({ policy: plan.policy, services, replicas: [...tracked.values()], weightPercent, passed });
}

async function perform(rollout: Rollout, step: Exclude<RolloutStep, { kind: 'done' }>): Promise<void> {
  if (step.kind === 'start') return await startReplicas(rollout, step.starts);
  if (step.kind === 'switch') return await switchRoutes(rollout, step);
  if (step.kind === 'remove') return await removeReplicas(rollout, step.replicaIds);
  await passGate(rollout, step.gate);
  rollout.passed.push(step.id);
}

async function whilePaused({ ref, words }: Rollout): Promise<void> {
  if (!words?.paused) return;
  words.waitsFor = 'a person to resume it';
  await store.recordWaiting({ ...ref, waitsFor: words.waitsFor });
  await condition(() => !words.paused);
  words.waitsFor = '';
  await store.recordWaiting({ ...ref, waitsFor: '' });
}

async function switchRoutes(rollout: Rollout, step: Extract<RolloutStep, { kind: 'switch' }>): Promise<void> {
  const { ref, tracked, timing, plan } = rollout;
  const serving = step.serve.flatMap((replicaId) => tracked.get(replicaId) ?? []);
  const revision = Math.max(...plan.goal.map((service) => service.revision));
  const { generation } = await store.switchRoutes({
    ...ref,
    serve: serving.flatMap(({ started }) => started ?? []),
    resume: serving.flatMap(({ replicaId, started }) => (started ? [] : [replicaId])),
    drain: step.drain,
    weight: step.weightPercent === null ? null : { revision, percent: step.weightPercent },
  });
  if (generation !== null) await atIngress(timing).awaitIngress({ generation, timeoutMs: timing.ingressMs });
  for (const replicaId of step.serve) setPhase(rollout, replicaId, 'serving');
  for (const replicaId of step.drain) setPhase(rollout, replicaId, 'drained');
  rollout.weightPercent = step.weightPercent;
  if (generation !== null && step.drain.length > 0) await sleep(timing.drainMs);
}

function setPhase(rollout: Rollout, replicaId: string, phase: RolloutPhase): void {
  const tracked = rollout.tracked.get(replicaId);
  if (tracked) tracked.phase = phase;
}

/** Containers that are being removed cannot be had back, so this is finished even when cancelled. */
async function removeReplicas(rollout: Rollout, replicaIds: readonly string[]): Promise<void> {
  const removals = replicaIds.flatMap((replicaId) => rollout.tracked.get(replicaId) ?? []);
  if (removals.some(({ phase }) => phase === 'drained')) await checkReplacements(rollout);
  await CancellationScope.nonCancellable(async () => {
    const outcomes = await Promise.allSettled(removals.map((replica) => removeContainer(rollout, replica)));
    const isRemoved = (index: number): boolean => outcomes[index]?.status === 'fulfilled';
    const idsWhere = (removed: boolean): string[] =>
      removals.filter((_, index) => isRemoved(index) === removed).map(({ replicaId }) => replicaId);
    for (const replicaId of replicaIds) rollout.tracked.delete(replicaId);
    const unreachable = idsWhere(false);
    if (unreachable.length > 0) log.warn('replicas are left on nodes that do not answer', { unreachable });
    await store.forgetReplicas({ ...rollout.ref, removed: idsWhere(true), unreachable });
    await tellDoomed(removals.flatMap(({ nodeId }, index) => (isRemoved(index) ? [] : [nodeId])));
  });
}

/** While the old ones are still there, what replaces them must not have died meanwhile. @throws REPLICA_UNHEALTHY */
async function checkReplacements({ ref, tracked }: Rollout): Promise<void> {
  const started = [...tracked.values()].filter(({ wanted, phase, started: by }) => wanted && phase === 'serving' && by);
  if (started.length === 0) return;
  const replicaIds = started.map(({ replicaId }) => replicaId);
  const unhealthy = await store.findUnhealthy({ ...ref, replicaIds });
  if (unhealthy.length > 0) throw noLongerHealthy(unhealthy);
}

async function removeContainer({ ref, timing }: Rollout, replica: Tracked): Promise<void> {
  const { revision, index, nodeId, nodeLost } = replica;
  if (nodeLost) throw new Error(`node ${nodeId} is lost`);
  const { deploymentId } = ref;
  const { stopGraceMs } = timing;
  await onStoppingNode(nodeId, timing).removeReplica({ deploymentId, revision, index, stopGraceMs });
}

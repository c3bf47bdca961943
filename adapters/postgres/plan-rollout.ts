import type { OperationRef } from '../../contracts/activities.ts';
import type { RolloutPlan, ServicePlan } from '../../contracts/rollout.ts';
import { isOpen, makesRevision } from '../../domain/operation.ts';
import type { PlacementRules } from '../../domain/placement/placement.ts';
import { nextStep } from '../../domain/rollout.ts';
import {
  assess,
  type DeploymentGoal,
  goalOf,
  policyFor,
  returnPolicy,
  type ServiceGoal,
  toRun,
  wantedServices,
} from '../../domain/rollout-goal.ts';
import { DEFAULT_ROLLOUT, type RolloutPolicy } from '../../domain/rollout-policy.ts';
import { isCompose, servicesOf } from '../../domain/spec.ts';
import { checkWriterReplicas, writesVolumes } from '../../domain/volumes.ts';
import { planBuilds } from './builds.ts';
import { beginCarries, listCarries, returnCarries } from './carried-volumes.ts';
import { ended } from './control-operation.ts';
import { readCurrent } from './current-goal.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import {
  getOperation,
  getSpec,
  type LockedDeployment,
  lockExisting,
  type StoredOperation,
  startOperation,
} from './deployment-lock.ts';
import { recordEvents } from './events.ts';
import { markGivenUp } from './given-up.ts';
import { decideWhatStays } from './kept-services.ts';
import { leaveVolumes, returnLeft } from './left-volumes.ts';
import { isOneOfTexts } from './page.ts';
import { resolveVolumes } from './placement/place-volumes.ts';
import { listReserved, reserve } from './placement/reserve-replicas.ts';
import { listRecorded } from './recorded-replicas.ts';
import { listImages } from './revision-images.ts';
import { planSource } from './revision-sources.ts';
import { planReading } from './source-readings.ts';

/**
 * Marks the operation as running, says what is to be rolled out, and reserves capacity for its first new replicas.
 *
 * One transaction that holds the placement lock from reading what is free to reserving it, so two rollouts never count
 * the same memory. A repeated call finds its own reservations and answers with them.
 */
export async function beginRollout(
  db: Database,
  { deploymentId, operationId }: OperationRef,
  rules: PlacementRules,
): Promise<RolloutPlan> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const operation = await begin(tx, deployment, operationId);
    const reading = await planReading(tx, deployment, operation);
    if (reading) return { ...NOTHING_KNOWN, reading };
    const goal = toRun(await readGoal(tx, deployment, operation));
    const policy = policyFor(operation.kind, await policyOf(tx, deploymentId, goal));
    const { kind, cohort } = operation;
    const renew = kind === 'restart';
    const carries = await beginCarries(tx, deployment, operation, goal);
    const leaves = await leaveVolumes(tx, deployment, operation);
    const giveUp = { waits: !leaves };
    const whole = await draft(tx, deployment, { operation, goal, policy, cohort, renew, giveUp });
    const reserved = await listReserved(tx, { deploymentId, operationId, batch: 0 });
    const isReserved = new Set(reserved.map(({ replicaId }) => replicaId));
    const plan = { ...whole, existing: whole.existing.filter(({ replicaId }) => !isReserved.has(replicaId)) };
    const starts = reserved.length > 0 ? [] : carries ? allStarts(goal) : firstStarts(plan);
    const fresh = await reserve(tx, { deployment, operationId, batch: 0, starts }, rules);
    const all = [...reserved, ...fresh];
    const services = await planBuilds(tx, deployment, { plan, reserved: all, operationId });
    if (!carries) return { ...plan, reserved: all, services };
    // Data that is written cannot go along bit by bit, and what belongs to it cannot reach it from another node.
    const how = whole.exclusive.length > 0 ? ALL_AT_ONCE : policy;
    return { ...plan, reserved: all, services, policy: how, carries: await listCarries(tx, deployment, operationId) };
  });
}

/** A plan before it is known what there is to roll out. */
const NOTHING_KNOWN: RolloutPlan = {
  ...{ policy: DEFAULT_ROLLOUT, goal: [], renew: false, services: [], reserved: [], existing: [] },
};

/** Decides once, when the operation begins, what depends on what runs by then. */
async function begin(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  operationId: string,
): Promise<StoredOperation> {
  const started = await startOperation(tx, operationId);
  const operation = started ?? (await getOperation(tx, operationId));
  if (!isOpen(operation.state)) throw ended(operation.state);
  if (!started) return operation;
  const { kind, revision } = operation;
  const { kept, cohort } = await decideWhatStays(tx, deployment, operation);
  const names = Object.keys(kept);
  const rest =
    names.length === 0 ? '' : `; ${names.join(', ')} ${names.length === 1 ? 'stays as it is' : 'stay as they are'}`;
  const message = revision > 0 ? `rollout of revision ${revision} began${rest}` : `${kind} began`;
  await recordEvents(tx, deployment, [{ kind: 'operation.started', message, operationId }]);
  return { ...operation, kept, cohort };
}

/** Says how to return to what was before the operation, from whatever there is now. Reserves nothing. */
export async function planReturn(
  db: Database,
  { deploymentId, operationId, unused }: OperationRef & { readonly unused: readonly string[] },
): Promise<RolloutPlan> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const operation = await getOperation(tx, operationId);
    await returnCarries(tx, operationId);
    await returnLeft(tx, operationId);
    await tx
      .deleteFrom('replicas')
      .where('deployment_id', '=', deploymentId)
      .where('operation_id', '=', operationId)
      .where('serving', '=', false)
      .where(isOneOfTexts('replica_id', unused))
      .execute();
    const goal = toRun(await readCurrent(tx, deployment));
    const policy = returnPolicy(await policyOf(tx, deploymentId, goal));
    return await draft(tx, deployment, { operation, goal, policy, cohort: null, renew: false, giveUp: null });
  });
}

/** What an operation is to reach; the same each time it is asked while the operation is open. @throws NOT_DEPLOYED */
export async function readGoal(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { kind, revision, scale, kept }: StoredOperation,
): Promise<DeploymentGoal> {
  const services = makesRevision(kind) ? servicesOf(await getSpec(tx, deployment.id, revision)) : [];
  return goalOf({
    ...{ kind, scale },
    services: services.map(({ name, replicas }) => ({ name, replicas, revision: kept[name] ?? revision })),
    current: await readCurrent(tx, deployment),
  });
}

async function policyOf(
  tx: DatabaseTransaction,
  deploymentId: string,
  goal: readonly ServiceGoal[],
): Promise<RolloutPolicy> {
  const newest = Math.max(0, ...goal.map(({ revision }) => revision));
  return newest === 0 ? DEFAULT_ROLLOUT : (await getSpec(tx, deploymentId, newest)).rollout;
}

/** Everything goes before anything starts. */
const ALL_AT_ONCE: RolloutPolicy = { strategy: 'recreate', approval: false };

interface Draft {
  readonly operation: StoredOperation;
  readonly goal: readonly ServiceGoal[];
  readonly policy: RolloutPolicy;
  readonly renew: boolean;
  /** The cohort that begins; `null` to stay in the present one. */
  readonly cohort: number | null;
  /**
   * How what the operation replaces for its node counts as given up; `null` when it does not. `waits`: what is bound to a
   * lost node by its volumes waits for that.
   */
  readonly giveUp: { readonly waits: boolean } | null;
}

/** The plan without reservations. */
async function draft(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { operation, goal, policy, renew, cohort, giveUp }: Draft,
): Promise<RolloutPlan & { readonly exclusive: readonly string[] }> {
  const services: ServicePlan[] = [];
  const exclusive: string[] = [];
  for (const service of goal.filter(({ replicas }) => replicas > 0)) {
    const plan = await planService(tx, deployment, { operation, goal, cohort }, service);
    services.push(plan);
    if (!writesVolumes(plan.template)) continue;
    checkWriterReplicas('replicas', service.replicas);
    exclusive.push(service.name);
  }
  const recorded = await listRecorded(tx, { deploymentId: deployment.id, operationId: operation.id });
  const isBound = services.some(({ template }) => (template.volumes ?? []).length > 0);
  return {
    policy,
    goal,
    exclusive,
    renew,
    services,
    reserved: [],
    existing: (giveUp ? markGivenUp(recorded, { deployment, operation, isBound, ...giveUp }) : recorded).map(
      ({ gone: _, ...one }) => one,
    ),
  };
}

async function planService(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { operation, goal, cohort }: Pick<Draft, 'operation' | 'goal' | 'cohort'>,
  { name, revision }: ServiceGoal,
): Promise<ServicePlan> {
  const whole = await getSpec(tx, deployment.id, revision);
  const spec = servicesOf(whole).find((service) => service.name === name);
  if (!spec) throw new Error(`revision ${revision} has no service ${name}`);
  const images = await listImages(tx, deployment.id, revision);
  const number = isCompose(whole) ? (cohort ?? deployment.cohort) : null;
  const { port, command, healthCheck, limits, restartPolicy, container, needs } = spec;
  return {
    template: {
      deploymentId: deployment.id,
      projectId: deployment.projectId,
      service: name,
      serviceName: deployment.name,
      ...{ operationId: operation.id, revision, port, command, healthCheck, limits, restartPolicy, container },
      ...(spec.volumes ? { volumes: await resolveVolumes(tx, deployment, spec) } : {}),
      hasEnvironment: spec.environment.length > 0,
      ...(number === null ? {} : { cohort: { number, services: goal.map((service) => service.name) } }),
    },
    source: await planSource(tx, spec.source, { deploymentId: deployment.id, revision, service: name }),
    needs,
    imageDigest: images.find((image) => image.service === name)?.digest ?? null,
    buildNodeId: null,
  };
}

/** What has volumes goes as a whole, so there has to be room for all of it before anything is taken away. */
function allStarts(goal: readonly ServiceGoal[]): { service: string; revision: number; count: number }[] {
  return goal.flatMap(({ name, revision, replicas }) => {
    return replicas > 0 ? [{ service: name, revision, count: replicas }] : [];
  });
}

/** What the first step starts, once leftovers are out of the way. */
function firstStarts(plan: RolloutPlan): { service: string; revision: number; count: number }[] {
  const replicas = assess(plan.goal, plan.existing, plan).filter(({ phase }) => phase !== 'spent');
  const services = wantedServices(plan);
  const step = nextStep({ policy: plan.policy, services, replicas, weightPercent: null, passed: [] });
  if (step.kind !== 'start') return [];
  return step.starts.flatMap(({ service, count }) => {
    const goal = plan.goal.find(({ name }) => name === service);
    return goal ? [{ service, revision: goal.revision, count }] : [];
  });
}

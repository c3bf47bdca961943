import { randomUUID } from 'node:crypto';
import { ApplicationFailure, cancellationSignal, heartbeat } from '@temporalio/activity';
import { toApplicationFailure, withFailures } from '../../activities/failures.ts';
import type { IngressActivities, OperationRef, StoreActivities } from '../../contracts/activities.ts';
import type { OperationRequest } from '../../contracts/deployment.ts';
import type { BuildActivities, EnsureReplicaInput, NodeActivities } from '../../contracts/node-activities.ts';
import type {
  CarriedVolume,
  OperationFailure,
  PlannedReplica,
  PlannedSource,
  RolloutPlan,
  StartedReplica,
} from '../../contracts/rollout.ts';
import type { PlannedReading } from '../../contracts/source-reading.ts';
import type { VolumeActivities } from '../../contracts/volumes.ts';
import {
  changeSpec,
  isUnread,
  readAnew,
  repositoryOfSpec,
  toStored,
  withFile,
  withoutFile,
} from '../../domain/compose-origin.ts';
import { DomainError } from '../../domain/errors.ts';
import { replicaId } from '../../domain/naming.ts';
import { isOpen, makesRevision, type OperationState } from '../../domain/operation.ts';
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
import { type ComposeSpec, type DeploymentSpec, isCompose, type Source, servicesOf } from '../../domain/spec.ts';
import { writesVolumes } from '../../domain/volumes.ts';

interface FakeReplica {
  service: string;
  revision: number;
  index: number;
  serving: boolean;
  started: boolean;
  operationId: string;
  drainedBy: string;
}

interface FakeOperation {
  request: OperationRequest;
  kind: OperationRequest['kind'];
  revision: number;
  state: OperationState;
  waitsFor: string;
  failure?: OperationFailure;
}

/** What a test can make the fake cluster do. */
export interface FakeBehaviour {
  /** Called in every start, before it succeeds; may throw or wait. */
  onStart?: (input: EnsureReplicaInput) => Promise<void>;
  onRemove?: (replicaId: string) => Promise<void>;
  /** Called while a volume is carried, before it has arrived. */
  onCarry?: () => Promise<void>;
  onIngress?: () => Promise<void>;
  onBuild?: () => Promise<void>;
  /** Answers with a commit. */
  onResolve?: (ref: string) => Promise<string>;
  /** Answers with what a commit holds: the services of its Compose file, or nothing but an image to be built. */
  onRead?: (commit: string) => Promise<ComposeSpec | null>;
  onErrors?: () => Promise<void>;
  refuseStore?: () => DomainError | undefined;
  /** Called each time that a rollout is to begin. */
  refuseBegin?: () => DomainError | undefined;
  /** Called each time that further replicas are to be placed. */
  refuseReserve?: () => DomainError | undefined;
  /** Ids of deployments that have something on a lost node. */
  healable?: () => readonly string[];
  /** Replicas that have died since they began to serve. */
  unhealthy?: () => readonly string[];
}

/**
 * Stands for the databases, the nodes and the ingress where a test needs to force what the real ones cannot be made to
 * do. Keeps one deployment, and plans by the same rules as the real store; says in `steps` what was done, in order.
 */
export function createFakeCluster(behaviour: FakeBehaviour = {}) {
  const replicas = new Map<string, FakeReplica>();
  const containers = new Set<string>();
  const operations = new Map<string, FakeOperation>();
  const specs: DeploymentSpec[] = [];
  const images = new Map<number, string>();
  const commits = new Map<number, string>();
  /** By commit, what nodes have told. */
  const files = new Map<string, ComposeSpec>();
  const indexes = new Map<number, number>();
  const steps: string[] = [];
  let current: DeploymentGoal = { services: [], stopped: false };
  let generation = 0;
  let purged = false;

  const get = (operationId: string): FakeOperation => {
    const operation = operations.get(operationId);
    if (!operation) throw ApplicationFailure.nonRetryable('operation not found', 'NOT_FOUND');
    return operation;
  };
  const setState = (operationId: string, state: OperationState, failure?: OperationFailure): void => {
    const operation = operations.get(operationId);
    if (!operation || !isOpen(operation.state)) return;
    operation.state = state;
    if (failure) operation.failure = failure;
  };
  const specOf = (revision: number): DeploymentSpec => {
    const spec = specs[revision - 1];
    if (!spec) throw ApplicationFailure.nonRetryable('revision not found', 'NOT_FOUND');
    return spec;
  };
  const addRevision = (request: OperationRequest): number => {
    const newest = specs.at(-1);
    const replicasNow = current.services[0]?.replicas;
    if (request.kind === 'deploy') {
      const { spec } = request;
      specs.push(isCompose(spec) ? spec : toStored({ ...spec, replicas: spec.replicas ?? replicasNow ?? 1 }));
    } else if (request.kind === 'update' && newest) {
      specs.push(changeSpec(request.freshSource ? readAnew(newest) : newest, request.change));
    } else if (request.kind === 'rollback') {
      const from = request.toRevision ?? 1;
      specs.push(specOf(from));
      images.set(specs.length, images.get(from) ?? '');
      commits.set(specs.length, commits.get(from) ?? '');
    } else return 0;
    return specs.length;
  };
  const goalOfOperation = (operationId: string): DeploymentGoal => {
    const { kind, revision, request } = get(operationId);
    const scale = request.kind === 'scale' ? { service: request.service, replicas: request.replicas } : null;
    const services = makesRevision(kind) ? servicesOf(specOf(revision)) : [];
    const named = services.map(({ name, replicas: count }) => ({ name, replicas: count, revision }));
    try {
      return goalOf({ kind, services: named, scale, current });
    } catch (error) {
      throw toApplicationFailure(error);
    }
  };
  const reserve = (operationId: string, starts: { service: string; revision: number; count: number }[]) =>
    starts.flatMap(({ service, revision, count }) =>
      Array.from({ length: count }, (): PlannedReplica => {
        const index = indexes.get(revision) ?? 0;
        indexes.set(revision, index + 1);
        const id = replicaId(revision, index);
        const row = { serving: false, started: false, drainedBy: '', operationId };
        replicas.set(id, { service, revision, index, ...row });
        return { replicaId: id, service, revision, index, nodeId: NODE };
      }),
    );
  const draft = (ref: OperationRef, goal: readonly ServiceGoal[], way: Pick<RolloutPlan, 'policy' | 'renew'>) => {
    const services = goal
      .filter((service) => service.replicas > 0)
      .map(({ name, revision }) => {
        const spec = servicesOf(specOf(revision)).find((service) => service.name === name);
        if (!spec) throw ApplicationFailure.nonRetryable(`no service ${name}`, 'NOT_FOUND');
        const { port, command, healthCheck, limits, restartPolicy, container, needs } = spec;
        const source = planned(spec.source, commits.get(revision));
        const place = { projectId: randomUUID(), service: name, serviceName: 'app', revision };
        const run = { port, command, healthCheck, limits, restartPolicy, container, hasEnvironment: false };
        const imageDigest = images.get(revision) ?? null;
        const buildNodeId = source.kind !== 'image' && imageDigest === null ? NODE : null;
        return { template: { ...ref, ...place, ...run }, needs, source, imageDigest, buildNodeId };
      });
    const existing = [...replicas].map(([id, { service, revision, index, serving, started, drainedBy }]) => ({
      ...{ replicaId: id, service, revision, index, serving, nodeId: NODE, nodeLost: false, healthy: true },
      resumable: started && drainedBy === ref.operationId,
    }));
    const exclusive = goal.flatMap(({ name, revision, replicas: count }) => {
      const spec = servicesOf(specOf(revision)).find((service) => service.name === name);
      return spec && count > 0 && writesVolumes(spec) ? [name] : [];
    });
    return { ...way, goal, exclusive, services, existing, reserved: [] };
  };

  const storeOperation: StoreActivities['storeOperation'] = async ({ request }) => {
    const refusal = behaviour.refuseStore?.();
    if (refusal) throw refusal;
    const known = operations.get(request.operationId);
    if (known && known.request.requestHash !== request.requestHash) {
      throw new DomainError('IDEMPOTENCY_CONFLICT', 'same key, other content');
    }
    const { kind, operationId } = request;
    const isEnding = [...operations.values()].some((stored) => stored.kind === 'remove');
    if (!known && kind !== 'remove' && isEnding) {
      throw new DomainError('DEPLOYMENT_DELETED', 'the deployment is about to be deleted');
    }
    const stored = known ?? { request, kind, revision: addRevision(request), state: 'queued', waitsFor: '' };
    operations.set(operationId, stored);
    return { operationId, kind, revision: stored.revision, open: isOpen(stored.state) };
  };

  const store: StoreActivities = {
    ...withFailures({ storeOperation }),
    takeOperations: async () => {
      const open = [...operations].filter(([, { state }]) => isOpen(state));
      const taken = open.map(
        ([
          operationId,
          {
            kind,
            revision,
            request: { supersedeRunning },
          },
        ]) => ({
          ...{ operationId, kind, revision, supersedeRunning },
        }),
      );
      return { exists: operations.size > 0 && !purged, operations: taken };
    },
    recordControl: async ({ request: { control, operationId } }) => {
      const { state } = get(operationId);
      if (!isOpen(state)) throw ApplicationFailure.nonRetryable('it is over', 'OPERATION_ENDED');
      steps.push(`${control} is asked`);
      if (control === 'cancel' && state === 'queued') setState(operationId, 'cancelled');
    },
    supersedeOperation: async ({ operationId }) => setState(operationId, 'superseded'),
    beginRollout: async (ref) => {
      const refusal = behaviour.refuseBegin?.();
      if (refusal) throw toApplicationFailure(refusal);
      if (!isOpen(get(ref.operationId).state)) throw ApplicationFailure.nonRetryable('it is over', 'OPERATION_ENDED');
      setState(ref.operationId, 'running');
      const { kind, revision } = get(ref.operationId);
      const reading = makesRevision(kind) ? readingOf(specOf(revision), revision, commits.get(revision)) : undefined;
      if (reading) {
        const nothing = { policy: DEFAULT_ROLLOUT, goal: [], renew: false, services: [], reserved: [], existing: [] };
        return { ...nothing, reading };
      }
      const goal = toRun(goalOfOperation(ref.operationId));
      const newest = Math.max(0, ...goal.map(({ revision }) => revision));
      const carries = carriedBy(get(ref.operationId).request);
      const own = policyFor(kind, newest > 0 ? specOf(newest).rollout : DEFAULT_ROLLOUT);
      const policy: RolloutPolicy = carries.length > 0 ? { strategy: 'recreate', approval: false } : own;
      // There is one node here, so a move replaces everything.
      const plan = draft(ref, goal, { policy, renew: kind === 'restart' || kind === 'move' });
      const rows = assess(goal, plan.existing, plan).filter(({ phase }) => phase !== 'spent');
      const step = nextStep({
        policy,
        services: wantedServices(plan),
        replicas: rows,
        weightPercent: null,
        passed: [],
      });
      const starts = step.kind === 'start' ? step.starts : [];
      const wanted = starts.map(({ service, count }) => ({ service, count, revision: revisionOf(goal, service) }));
      const all = goal.map(({ name, revision, replicas: count }) => ({ service: name, revision, count }));
      if (carries.length > 0) return { ...plan, carries, reserved: reserve(ref.operationId, all) };
      return { ...plan, reserved: reserve(ref.operationId, wanted) };
    },
    reserveReplicas: async ({ operationId, starts, avoid = [] }) => {
      const refusal = behaviour.refuseReserve?.();
      if (refusal) throw toApplicationFailure(refusal);
      if (avoid.length > 0) steps.push(`reserve, not on [${avoid}]`);
      return reserve(operationId, [...starts]);
    },
    planReturn: async ({ unused, ...ref }) => {
      for (const id of unused) replicas.delete(id);
      const goal = toRun(current);
      const newest = Math.max(0, ...goal.map(({ revision }) => revision));
      const policy = returnPolicy(newest > 0 ? specOf(newest).rollout : DEFAULT_ROLLOUT);
      return draft(ref, goal, { policy, renew: false });
    },
    recordSource: async ({ revision, commit }) => {
      if (!commits.has(revision)) commits.set(revision, commit);
      steps.push(`record ${commits.get(revision)}`);
      return { commit: commits.get(revision) ?? '' };
    },
    adoptSource: async ({ revision, found }) => {
      const [unread, file] = [specOf(revision), files.get(commits.get(revision) ?? '')];
      specs[revision - 1] = found.kind === 'image' || !file ? withoutFile(unread) : withFile(unread, file);
      steps.push(`adopt ${found.kind}`);
    },
    recordBuild: async ({ revision, imageId }) => {
      images.set(revision, imageId);
      steps.push('record build');
    },
    switchRoutes: async ({ operationId, serve, resume, drain, weight }) => {
      const share = weight ? ` at ${weight.percent} %` : '';
      steps.push(`switch to [${[...serve.map((started) => started.replicaId), ...resume]}] from [${drain}]${share}`);
      for (const { replicaId: id, imageDigest } of serve) {
        const row = replicas.get(id);
        if (!row) continue;
        Object.assign(row, { serving: true, started: true });
        if (!images.has(row.revision)) images.set(row.revision, imageDigest);
      }
      for (const id of resume) Object.assign(replicas.get(id) ?? {}, { serving: true, drainedBy: '' });
      for (const id of drain) Object.assign(replicas.get(id) ?? {}, { serving: false, drainedBy: operationId });
      generation += 1;
      return { generation };
    },
    recordCarried: async () => {
      steps.push('volumes are carried');
    },
    findUnhealthy: async ({ replicaIds }) => replicaIds.filter((id) => behaviour.unhealthy?.().includes(id)),
    forgetReplicas: async ({ removed, unreachable }) => {
      if (unreachable.length > 0) steps.push(`doom [${unreachable}]`);
      for (const id of [...removed, ...unreachable]) replicas.delete(id);
    },
    recordWaiting: async ({ operationId, waitsFor }) => {
      steps.push(waitsFor === '' ? 'goes on' : `waits for ${waitsFor}`);
      Object.assign(get(operationId), { state: waitsFor === '' ? 'running' : 'waiting', waitsFor });
    },
    finishOperation: async ({ operationId }) => {
      if (isOpen(get(operationId).state)) current = goalOfOperation(operationId);
      setState(operationId, 'succeeded');
    },
    failOperation: async ({ operationId, failure }) => {
      setState(operationId, failure.code === 'CANCELLED' ? 'cancelled' : 'failed', failure);
      for (const [id, row] of replicas) if (!row.serving && row.operationId === operationId) replicas.delete(id);
    },
    beginRemoval: async ({ deploymentId, operationId }) => {
      setState(operationId, 'running');
      const all = [...replicas.values()].map(({ revision, index }) => ({ nodeId: NODE, revision, index }));
      const nodes = { nodeIds: [NODE], lostNodeIds: [] };
      return { deploymentId, projectId: randomUUID(), replicas: all, ...nodes, generation: null };
    },
    purgeDeployment: async ({ operationId }) => {
      setState(operationId, 'succeeded');
      replicas.clear();
      purged = true;
    },
    recordNodeState: async ({ nodeId, state }) => {
      steps.push(`${nodeId} is ${state}`);
    },
    listHealable: async () => behaviour.healable?.() ?? [],
    listDoomed: async () => ({ replicas: [], deployments: [] }),
    forgetDoomed: async () => undefined,
  };

  const node: NodeActivities & Pick<VolumeActivities, 'carryVolume'> = {
    carryVolume: async ({ copy }) => {
      heartbeat();
      steps.push(`carry copy ${copy}`);
      await behaviour.onCarry?.();
    },
    ensureReplica: async (input) => {
      heartbeat();
      containers.add(input.replicaId);
      steps.push(`start ${input.replicaId}`);
      await behaviour.onStart?.(input);
      return aStartedReplica(input);
    },
    removeReplica: async ({ revision, index }) => {
      const id = replicaId(revision, index);
      steps.push(`remove ${id}`);
      await behaviour.onRemove?.(id);
      containers.delete(id);
    },
    removeLeftovers: async () => {
      steps.push('remove leftovers');
    },
    removeVolume: async ({ volumeId }) => {
      steps.push(`remove volume ${volumeId}`);
    },
    dropSnapshot: async ({ snapshotId }) => {
      steps.push(`drop snapshot ${snapshotId}`);
    },
    resolveSource: async ({ ref }) => {
      heartbeat();
      steps.push(`look up ${ref}`);
      return { commit: (await behaviour.onResolve?.(ref)) ?? 'c'.repeat(40) };
    },
    watchNode: async () => ({ state: 'ready', reason: '' }),
  };
  const build: BuildActivities = {
    buildImage: async ({ source }) => {
      steps.push(source.kind === 'git' ? `build ${source.commit}` : 'build');
      await behaviour.onBuild?.();
      return { imageId: 'sha256:built' };
    },
    readSource: async ({ source: { commit } }) => {
      heartbeat();
      steps.push(`read ${commit}`);
      const file = await behaviour.onRead?.(commit);
      if (!file) return { kind: 'image', reason: 'a Dockerfile at its root' };
      files.set(commit, file);
      return { kind: 'compose', reason: 'the Compose file compose.yaml at its root' };
    },
  };
  const ingress: IngressActivities = {
    awaitIngress: async () => {
      await behaviour.onIngress?.();
      steps.push('ingress confirmed');
    },
    watchErrors: async ({ revision }) => {
      steps.push(`watch revision ${revision}`);
      await behaviour.onErrors?.();
    },
  };
  return {
    storeOperation,
    store,
    node,
    build,
    ingress,
    replicas,
    containers,
    operations,
    steps,
    isPurged: () => purged,
  };
}

function readingOf(spec: DeploymentSpec, revision: number, commit: string | undefined): PlannedReading | undefined {
  const repository = isUnread(spec) ? repositoryOfSpec(spec) : undefined;
  if (!repository) return undefined;
  const { url, ref, subdirectory, submodules, composePath = null } = repository;
  const source = { url, ref, subdirectory, submodules, composePath, onlyCompose: isCompose(spec) };
  return { revision, nodeId: NODE, source, commit: commit || null };
}

function planned(source: Source, commit: string | undefined): PlannedSource {
  if (source.kind === 'image' || source.kind === 'static') return source;
  const { args: _, ...rest } = source;
  return rest.kind === 'git'
    ? { ...rest, hasArguments: false, commit: commit ?? null }
    : { ...rest, hasArguments: false };
}

function revisionOf(goal: readonly ServiceGoal[], service: string): number {
  return goal.find(({ name }) => name === service)?.revision ?? 0;
}

/** What a move takes along. */
function carriedBy(request: OperationRequest): CarriedVolume[] {
  if (request.kind !== 'move' || request.move.volumes !== true) return [];
  return [{ volumeId: randomUUID(), projectId: randomUUID(), from: NODE, to: NODE, copy: 1 }];
}

/** The one node of the fake cluster. */
export const NODE = 'node-fake';

/** Waits until the activity is cancelled, heartbeating, and then throws as a real one does. */
export async function untilCancelled(): Promise<never> {
  const signal = cancellationSignal();
  const beat = setInterval(() => heartbeat(), 50);
  try {
    return await new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  } finally {
    clearInterval(beat);
  }
}

function aStartedReplica({ replicaId: id, image }: EnsureReplicaInput): StartedReplica {
  const imageDigest = image.kind === 'built' ? image.imageId : (image.digest ?? 'sha256:resolved');
  const startedAt = '2026-01-01T00:00:00Z';
  const took = { attempt: 1, times: { prepareMs: 1, startMs: 1, healthyMs: 1 } };
  const address = { host: '127.0.0.1', port: 1 };
  return { replicaId: id, containerId: `c-${id}`, imageDigest, address, startedAt, ...took };
}

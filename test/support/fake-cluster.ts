import { randomUUID } from 'node:crypto';
import { ApplicationFailure, cancellationSignal, heartbeat } from '@temporalio/activity';
import { toApplicationFailure } from '../../activities/failures.ts';
import type {
  BuildActivities,
  EnsureReplicaInput,
  IngressActivities,
  NodeActivities,
  StoreActivities,
} from '../../contracts/activities.ts';
import type { DeployRequest, OperationAccepted } from '../../contracts/deployment.ts';
import type { OperationFailure, StartedReplica } from '../../contracts/rollout.ts';
import { DomainError } from '../../domain/errors.ts';
import { replicaId } from '../../domain/naming.ts';
import type { DeploymentSpec } from '../../domain/spec.ts';

interface FakeReplica {
  revision: number;
  index: number;
  serving: boolean;
}

interface FakeOperation {
  kind: 'deploy' | 'remove';
  hash: string;
  revision: number;
  state: string;
  failure?: OperationFailure;
}

/** What a test can make the fake cluster do. */
export interface FakeBehaviour {
  /** Called in every start, before it succeeds; may throw or wait. */
  onStart?: (input: EnsureReplicaInput) => Promise<void>;
  onIngress?: () => Promise<void>;
  onBuild?: () => Promise<void>;
  refuseStore?: () => DomainError | undefined;
}

/**
 * Stands for the databases, the nodes and the ingress where a test needs to force what the real ones cannot be made to
 * do. Keeps one deployment; says in `steps` what was done, in order.
 */
export function createFakeCluster(behaviour: FakeBehaviour = {}) {
  const replicas = new Map<string, FakeReplica>();
  const containers = new Set<string>();
  const operations = new Map<string, FakeOperation>();
  const specs = new Map<number, DeploymentSpec>();
  const steps: string[] = [];
  let generation = 0;
  let purged = false;

  const storeOperation = (request: DeployRequest | Omit<DeployRequest, 'spec' | 'createAs'>): OperationAccepted => {
    const refusal = behaviour.refuseStore?.();
    if (refusal) throw toApplicationFailure(refusal);
    const known = operations.get(request.operationId);
    if (known && known.hash !== request.requestHash) {
      throw ApplicationFailure.nonRetryable('same key, other content', 'IDEMPOTENCY_CONFLICT');
    }
    const isDeploy = 'spec' in request;
    if (isDeploy && !known && [...operations.values()].some(({ kind }) => kind === 'remove')) {
      throw toApplicationFailure(new DomainError('DEPLOYMENT_DELETED', 'the deployment is about to be deleted'));
    }
    const revision = known?.revision ?? (isDeploy ? specs.size + 1 : 0);
    if (!known) {
      if (isDeploy) specs.set(revision, request.spec);
      const kind = isDeploy ? 'deploy' : 'remove';
      operations.set(request.operationId, { kind, hash: request.requestHash, revision, state: 'queued' });
    }
    const state = operations.get(request.operationId)?.state ?? 'queued';
    return { operationId: request.operationId, revision, open: state === 'queued' || state === 'running' };
  };
  const setState = (operationId: string, state: string, failure?: OperationFailure): void => {
    const operation = operations.get(operationId);
    if (!operation) return;
    operation.state = state;
    if (failure) operation.failure = failure;
  };

  const store: StoreActivities = {
    storeDeploy: async ({ request }) => storeOperation(request),
    storeRemove: async ({ request }) => storeOperation(request),
    supersedeOperation: async ({ operationId }) => setState(operationId, 'superseded'),
    beginRollout: async ({ operationId, revision, deploymentId }) => {
      setState(operationId, 'running');
      const spec = specs.get(revision);
      if (!spec) throw ApplicationFailure.nonRetryable('revision not found', 'NOT_FOUND');
      const { port, command, healthCheck, limits, restartPolicy, source } = spec;
      const existing = [...replicas].map(([id, { revision: ofRevision, index, serving }]) => ({
        ...{ replicaId: id, nodeId: NODE, revision: ofRevision, index, serving },
      }));
      const planned = Array.from({ length: spec.replicas }, (_, index) => ({
        ...{ replicaId: replicaId(revision, index), index, nodeId: NODE },
      }));
      const place = { deploymentId, projectId: randomUUID(), serviceName: 'app', operationId, revision };
      const run = { port, command, healthCheck, limits, restartPolicy, hasEnvironment: false };
      return { template: { ...place, ...run }, source, imageDigest: null, planned, existing };
    },
    recordBuild: async () => {
      steps.push('record build');
    },
    switchRoutes: async ({ revision, serve, resume, drain }) => {
      steps.push(`switch to [${[...serve.map((started) => started.replicaId), ...resume]}] from [${drain}]`);
      for (const { replicaId: id } of serve) {
        replicas.set(id, { revision, index: Number(id.split('-')[1]), serving: true });
      }
      for (const id of resume) setServing(id, true);
      for (const id of drain) setServing(id, false);
      generation += 1;
      return { generation };
    },
    forgetReplicas: async ({ replicaIds }) => {
      for (const id of replicaIds) replicas.delete(id);
    },
    finishOperation: async ({ operationId }) => setState(operationId, 'succeeded'),
    failOperation: async ({ operationId, failure }) => {
      setState(operationId, 'failed', failure);
      for (const [id, replica] of replicas) if (!replica.serving) replicas.delete(id);
    },
    beginRemoval: async ({ deploymentId, operationId }) => {
      setState(operationId, 'running');
      const all = [...replicas].map(([id, { revision, index, serving }]) => ({
        ...{ replicaId: id, nodeId: NODE, revision, index, serving },
      }));
      return { deploymentId, projectId: randomUUID(), replicas: all, nodeIds: [NODE], generation: null };
    },
    purgeDeployment: async ({ operationId }) => {
      setState(operationId, 'succeeded');
      replicas.clear();
      purged = true;
    },
    recordNodeState: async ({ nodeId, state }) => {
      steps.push(`${nodeId} is ${state}`);
    },
  };
  const setServing = (id: string, serving: boolean): void => {
    const replica = replicas.get(id);
    if (replica) replica.serving = serving;
  };

  const node: NodeActivities = {
    ensureReplica: async (input) => {
      heartbeat();
      containers.add(input.replicaId);
      steps.push(`start ${input.replicaId}`);
      await behaviour.onStart?.(input);
      return aStartedReplica(input);
    },
    removeReplica: async ({ revision, index }) => {
      steps.push(`remove ${replicaId(revision, index)}`);
      containers.delete(replicaId(revision, index));
    },
    removeLeftovers: async () => {
      steps.push('remove leftovers');
    },
    watchNode: async () => ({ state: 'ready', reason: '' }),
  };
  const build: BuildActivities = {
    buildImage: async () => {
      steps.push('build');
      await behaviour.onBuild?.();
      return { imageId: 'sha256:built' };
    },
  };
  const ingress: IngressActivities = {
    awaitIngress: async () => {
      await behaviour.onIngress?.();
      steps.push('ingress confirmed');
    },
  };
  return { store, node, build, ingress, replicas, containers, operations, steps, isPurged: () => purged };
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
  return { replicaId: id, containerId: `c-${id}`, imageDigest, address: { host: '127.0.0.1', port: 1 }, startedAt };
}

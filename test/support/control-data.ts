import { randomUUID } from 'node:crypto';
import type { Database } from '../../adapters/postgres/database.ts';
import { enrolNode } from '../../adapters/postgres/nodes.ts';
import { ensureUser } from '../../adapters/postgres/users.ts';
import type { StoreActivities, StoreInput } from '../../contracts/activities.ts';
import type { DeployRequest, OperationAccepted } from '../../contracts/deployment.ts';
import type { RolloutPlan, StartedReplica } from '../../contracts/rollout.ts';
import { assess } from '../../domain/rollout-goal.ts';
import { aDeployRequest } from './builders.ts';

/** A tenant: a user with the organization and the project that it got by itself. */
export interface Tenant {
  readonly userId: string;
  readonly organizationId: string;
  readonly projectId: string;
}

/** Creates a tenant of its own. */
export async function aTenant(db: Database): Promise<Tenant> {
  const subject = `user-${randomUUID()}`;
  const { userId, memberships } = await ensureUser(db, { issuer: 'https://issuer.test', subject, email: '' });
  const organizationId = memberships[0]?.organizationId ?? '';
  const project = await db
    .selectFrom('projects')
    .select('id')
    .where('organization_id', '=', organizationId)
    .executeTakeFirstOrThrow();
  return { userId, organizationId, projectId: project.id };
}

/** Enrols a node that is ready. */
export async function aReadyNode(
  db: Database,
  has: { nodeId?: string; cpuCores?: number; memoryBytes?: number } = {},
): Promise<string> {
  const nodeId = has.nodeId ?? `node-${randomUUID().slice(0, 8)}`;
  await enrolNode(db, {
    nodeId,
    hostname: nodeId,
    cpuCores: has.cpuCores ?? 8,
    memoryBytes: has.memoryBytes ?? 64 * 1024 ** 3,
    dockerVersion: '28.0.0',
    architecture: 'amd64',
    address: '127.0.0.1',
    gatewayUrl: 'http://127.0.0.1:7410',
    streamerUrl: 'http://127.0.0.1:7411',
    labels: {},
    signingJwk: { kty: 'EC', crv: 'P-256', x: nodeId, y: 'signing' },
    encryptionJwk: { kty: 'EC', crv: 'P-256', x: nodeId, y: 'encryption' },
    leaseMs: 30_000,
  });
  await db.updateTable('nodes').set({ state: 'ready', reason: '' }).where('id', '=', nodeId).execute();
  return nodeId;
}

/** Removes every node, so that a test has only its own. */
export async function withoutNodes(db: Database): Promise<void> {
  await db.deleteFrom('volume_snapshots').execute();
  await db.deleteFrom('volumes').execute();
  await db.deleteFrom('deployments').execute();
  await db.deleteFrom('nodes').execute();
}

/** The first deploy of a new deployment of the tenant. */
export function aCreation(tenant: Tenant, changes: Partial<DeployRequest> = {}): StoreInput<DeployRequest> {
  const { organizationId, projectId } = tenant;
  return { deploymentId: randomUUID(), organizationId, projectId, request: aDeployRequest(changes) };
}

/** A replica as its node says that it started. */
export function aStarted(replicaId: string, port = 32_768): StartedReplica {
  return {
    replicaId,
    containerId: `${replicaId}-container-`.padEnd(64, '0'),
    imageDigest: `sha256:${'a'.repeat(64)}`,
    address: { host: '127.0.0.1', port },
    startedAt: '2026-01-01T00:00:00.123456789Z',
    attempt: 1,
    times: { prepareMs: 10, startMs: 200, healthyMs: 50 },
  };
}

/** A removal that reached every node. */
export const NOTHING_LEFT = { unreachableReplicas: [], unreachableNodes: [] } as const;

/** Carries a stored operation to its end: every planned replica serves, what is no longer wanted is gone. */
export async function rollOut(
  store: StoreActivities,
  deploymentId: string,
  { operationId }: Pick<OperationAccepted, 'operationId'>,
): Promise<RolloutPlan> {
  const ref = { deploymentId, operationId };
  const plan = await store.beginRollout(ref);
  const serve = plan.reserved.map((replica) => aStarted(replica.replicaId, 32_768 + replica.index));
  const old = assess(plan.goal, plan.existing, plan).filter(({ wanted }) => !wanted);
  const drain = old.map(({ replicaId }) => replicaId);
  await store.switchRoutes({ ...ref, serve, resume: [], drain, weight: null });
  await store.forgetReplicas({ ...ref, removed: drain, unreachable: [] });
  await store.finishOperation(ref);
  return plan;
}

import type { NodeStateChange, OperationRef, StoreActivities } from '../../contracts/activities.ts';
import type { PlacementRules } from '../../domain/placement/placement.ts';
import { beginRollout } from './begin-rollout.ts';
import type { Database } from './database.ts';
import { lockExisting, pinRevision } from './deployment-lock.ts';
import { beginRemoval, failOperation, finishOperation, purgeDeployment, supersedeOperation } from './end-operation.ts';
import { recordEvents } from './events.ts';
import { storeDeploy, storeRemove } from './store-request.ts';
import { forgetReplicas, switchRoutes } from './switch-routes.ts';

/** How deployments are stored. */
export interface DeploymentStoreOptions {
  /** Deployments get hostnames under this domain. */
  readonly domain: string;
  readonly placement: Pick<PlacementRules, 'strategy' | 'maxDeploymentsPerNode'> & { readonly cpuOvercommit?: number };
}

/** Four replicas limited to a core share one: most services use a small part of their limit most of the time. */
const DEFAULT_CPU_OVERCOMMIT = 4;

/**
 * Creates what workflows write by. Every activity is one transaction, and running it again after it was committed
 * changes nothing and answers the same.
 */
export function createDeploymentStore(db: Database, { domain, placement }: DeploymentStoreOptions): StoreActivities {
  const rules: PlacementRules = { cpuOvercommit: DEFAULT_CPU_OVERCOMMIT, ...placement };
  return {
    storeDeploy: (input) => storeDeploy(db, input, domain),
    storeRemove: (input) => storeRemove(db, input),
    supersedeOperation: (input) => supersedeOperation(db, input),
    beginRollout: (input) => beginRollout(db, input, rules),
    recordBuild: (input) => recordBuild(db, input),
    switchRoutes: (input) => switchRoutes(db, input),
    forgetReplicas: (input) => forgetReplicas(db, input),
    finishOperation: (input) => finishOperation(db, input),
    failOperation: (input) => failOperation(db, input),
    beginRemoval: (input) => beginRemoval(db, input),
    purgeDeployment: (input) => purgeDeployment(db, input),
    recordNodeState: (input) => recordNodeState(db, input),
  };
}

async function recordBuild(
  db: Database,
  {
    deploymentId,
    operationId,
    revision,
    imageId,
  }: OperationRef & { readonly revision: number; readonly imageId: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    if (!(await pinRevision(tx, { deploymentId, number: revision, digest: imageId }))) return;
    const message = `image of revision ${revision} is built: ${imageId}`;
    await recordEvents(tx, deployment, [{ kind: 'build.finished', message, operationId }]);
  });
}

async function recordNodeState(db: Database, { nodeId, state, reason }: NodeStateChange): Promise<void> {
  await db
    .updateTable('nodes')
    .set({ state, reason: reason.slice(0, 1024) })
    .where('id', '=', nodeId)
    .where('state', 'in', ['ready', 'degraded', 'lost'])
    .execute();
}

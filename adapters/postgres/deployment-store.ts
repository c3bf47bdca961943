import type { StoreActivities } from '../../contracts/activities.ts';
import type { NodeStateChange } from '../../contracts/node.ts';
import { DEFAULT_CPU_OVERCOMMIT, type PlacementRules } from '../../domain/placement/placement.ts';
import { adoptSource } from './adopt-source.ts';
import { recordBuild } from './builds.ts';
import { recordCarried } from './carried-volumes.ts';
import { recordControl, recordWaiting } from './control-operation.ts';
import type { Database } from './database.ts';
import { forgetDoomed, listDoomed } from './doomed.ts';
import { beginRemoval, failOperation, finishOperation, purgeDeployment, supersedeOperation } from './end-operation.ts';
import { listLeaving } from './healing.ts';
import { reserveReplicas } from './placement/reserve-replicas.ts';
import { beginRollout, planReturn } from './plan-rollout.ts';
import { recordSource } from './revision-sources.ts';
import { storeOperation } from './store-operation.ts';
import { findUnhealthy, forgetReplicas, switchRoutes } from './switch-routes.ts';
import { takeOperations } from './take-operations.ts';

/** How deployments are stored. */
export interface DeploymentStoreOptions {
  /** Deployments get hostnames under this domain. */
  readonly domain: string;
  readonly placement: Pick<PlacementRules, 'strategy' | 'maxDeploymentsPerNode'> & { readonly cpuOvercommit?: number };
}

/**
 * Creates what workflows write by. Every activity is one transaction, and running it again after it was committed
 * changes nothing and answers the same.
 */
export function createDeploymentStore(db: Database, { domain, placement }: DeploymentStoreOptions): StoreActivities {
  const rules: PlacementRules = { cpuOvercommit: DEFAULT_CPU_OVERCOMMIT, ...placement };
  return {
    storeOperation: (input) => storeOperation(db, input, domain),
    takeOperations: ({ deploymentId }) => takeOperations(db, deploymentId),
    supersedeOperation: (input) => supersedeOperation(db, input),
    recordControl: (input) => recordControl(db, input),
    beginRollout: (input) => beginRollout(db, input, rules),
    reserveReplicas: (input) => reserveReplicas(db, input, rules),
    planReturn: (input) => planReturn(db, input),
    recordSource: (input) => recordSource(db, input),
    adoptSource: (input) => adoptSource(db, input, domain),
    recordBuild: (input) => recordBuild(db, input),
    switchRoutes: (input) => switchRoutes(db, input),
    recordCarried: (input) => recordCarried(db, input),
    findUnhealthy: (input) => findUnhealthy(db, input),
    forgetReplicas: (input) => forgetReplicas(db, input),
    recordWaiting: (input) => recordWaiting(db, input),
    finishOperation: (input) => finishOperation(db, input),
    failOperation: (input) => failOperation(db, input),
    beginRemoval: (input) => beginRemoval(db, input),
    purgeDeployment: (input) => purgeDeployment(db, input),
    recordNodeState: (input) => recordNodeState(db, input),
    listHealable: ({ nodeId }) => listLeaving(db, { nodeId, kind: 'heal' }),
    listDoomed: (input) => listDoomed(db, input),
    forgetDoomed: (input) => forgetDoomed(db, input),
  };
}

async function recordNodeState(db: Database, { nodeId, state, reason, disk }: NodeStateChange): Promise<void> {
  await db
    .updateTable('nodes')
    .set({
      ...{ state, reason: reason.slice(0, 1024) },
      ...(disk ? { disk_level: disk.level, disk_notice: disk.notice } : {}),
    })
    .where('id', '=', nodeId)
    .where('state', 'in', ['ready', 'degraded', 'lost'])
    .execute();
}

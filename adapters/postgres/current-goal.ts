import type { DeploymentGoal } from '../../domain/rollout-goal.ts';
import type { DatabaseTransaction } from './database.ts';
import type { LockedDeployment } from './deployment-lock.ts';

/** What was reached last. */
export async function readCurrent(tx: DatabaseTransaction, { id, stopped }: LockedDeployment): Promise<DeploymentGoal> {
  const services = await tx
    .selectFrom('deployment_services')
    .select(['name', 'revision', 'replicas'])
    .where('deployment_id', '=', id)
    .orderBy('name')
    .execute();
  return { services, stopped };
}

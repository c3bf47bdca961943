import { getExternalWorkflowHandle, log, uuid4 } from '@temporalio/workflow';
import { deploymentWorkflowId, HEAL_SIGNAL, type PlainRequest } from '../contracts/deployment.ts';
import { PLATFORM_ACTOR } from '../domain/operation.ts';

/** Asks a deployment to replace what it has lost. It decides by itself, when its turn comes, whether there is anything. */
export async function askToHeal(deploymentId: string, reason: string): Promise<void> {
  const operationId = uuid4();
  const request: PlainRequest = {
    ...{ kind: 'heal', operationId, idempotencyKey: `heal-${operationId}`, requestHash: hashOf(operationId) },
    ...{ actorUserId: PLATFORM_ACTOR, reason, supersedeRunning: false },
  };
  try {
    await getExternalWorkflowHandle(deploymentWorkflowId(deploymentId)).signal(HEAL_SIGNAL, request);
  } catch (error) {
    // It has been deleted meanwhile.
    log.warn('a deployment could not be asked to heal', { deploymentId, error: String(error) });
  }
}

/** The key is used once, so what was asked under it needs no real hash: any that is the same each time will do. */
function hashOf(operationId: string): string {
  return operationId.replaceAll('-', '').repeat(2);
}

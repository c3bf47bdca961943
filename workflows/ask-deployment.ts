import { getExternalWorkflowHandle, log, uuid4 } from '@temporalio/workflow';
import { deploymentWorkflowId, HEAL_SIGNAL, type PlainRequest, type RequestIdentity } from '../contracts/deployment.ts';
import { type OperationKind, PLATFORM_ACTOR } from '../domain/operation.ts';

/** Asks a deployment to replace what it has lost. It decides by itself, when its turn comes, whether there is anything. */
export async function askToHeal(deploymentId: string, reason: string): Promise<void> {
  const request: PlainRequest = { kind: 'heal', ...askedByPlatform('heal', reason) };
  await signalDeployment(deploymentId, HEAL_SIGNAL, request);
}

/** Who asks, and why, for something that the platform asks for by itself. Each call is a request of its own. */
export function askedByPlatform(kind: OperationKind, reason: string): RequestIdentity {
  const operationId = uuid4();
  return {
    ...{ operationId, idempotencyKey: `${kind}-${operationId}`, requestHash: hashOf(operationId) },
    ...{ actorUserId: PLATFORM_ACTOR, reason, supersedeRunning: false },
  };
}

/** The key is used once, so what was asked under it needs no real hash: any that is the same each time will do. */
function hashOf(operationId: string): string {
  return operationId.replaceAll('-', '').repeat(2);
}

/** Signals a deployment's workflow. @returns false when it has ended: the deployment has been deleted meanwhile. */
export async function signalDeployment(deploymentId: string, signal: string, request: unknown): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(deploymentWorkflowId(deploymentId)).signal(signal, request);
    return true;
  } catch (error) {
    log.warn('a deployment could not be asked', { deploymentId, signal, error: String(error) });
    return false;
  }
}

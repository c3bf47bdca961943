import type { DeploymentCall } from '../../adapters/temporal/deployment-calls.ts';
import { executeWithStart } from '../../adapters/temporal/update-with-start.ts';
import {
  DEPLOYMENT_WORKFLOW,
  type DeploymentInput,
  deploymentWorkflowId,
  OPERATION_UPDATES,
  type OperationAccepted,
  type OperationRequest,
} from '../../contracts/deployment.ts';
import { QUICK } from './builders.ts';
import type { startWorkflowRig } from './workflow-rig.ts';

/** Asks for an operation as an API of before does, whose orchestrator has been upgraded first. */
export async function askByUpdate(
  { client }: Pick<Awaited<ReturnType<typeof startWorkflowRig>>, 'client'>,
  { request, ...place }: DeploymentCall<OperationRequest>,
): Promise<OperationAccepted> {
  const input: DeploymentInput = { ...place, timing: QUICK };
  return await executeWithStart<OperationAccepted, OperationRequest>(
    { client, answerMs: 20_000 },
    {
      workflow: { type: DEPLOYMENT_WORKFLOW, id: deploymentWorkflowId(place.deploymentId), input },
      update: { name: OPERATION_UPDATES[request.kind], id: request.operationId, args: [request] },
    },
  );
}

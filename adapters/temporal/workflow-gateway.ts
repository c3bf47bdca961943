import {
  type Client,
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, type WorkflowIdConflictPolicy } from '@temporalio/common';
import {
  DEPLOY_UPDATE,
  DEPLOYMENT_WORKFLOW,
  type DeploymentInput,
  type DeployRequest,
  deploymentWorkflowId,
  type OperationAccepted,
  type OperationRequest,
  REMOVE_UPDATE,
  type RemoveRequest,
} from '../../contracts/deployment.ts';
import { ENROLLED_SIGNAL, NODE_WORKFLOW, type NodeInput, nodeWorkflowId } from '../../contracts/node.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import type { RolloutTiming } from '../../contracts/timing.ts';
import { DomainError, toErrorCode } from '../../domain/errors.ts';
import { createLimiter } from './limiter.ts';

/** A request for a deployment's entity. */
export interface DeploymentCall<Request extends OperationRequest> {
  readonly deploymentId: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly request: Request;
}

/** How the API reaches the workflows. */
export interface WorkflowGateway {
  /** Stores a deploy and answers once it will be carried out. @throws what `storeDeploy` throws, WORKFLOWS_UNAVAILABLE */
  deploy(call: DeploymentCall<DeployRequest>): Promise<OperationAccepted>;
  /** Stores a removal. @throws what `storeRemove` throws, WORKFLOWS_UNAVAILABLE */
  remove(call: DeploymentCall<RemoveRequest>): Promise<OperationAccepted>;
  /** Makes sure that the node is watched, and is looked at now. */
  nodeEnrolled(nodeId: string): Promise<void>;
}

/** What the gateway needs. */
export interface GatewayOptions {
  readonly client: Client;
  readonly timing: RolloutTiming;
  readonly node: Omit<NodeInput, 'nodeId' | 'carried'>;
  /** How long a caller waits for an update's answer, milliseconds. */
  readonly answerMs: number;
}

/**
 * The server takes 10 updates in flight per workflow; with 8 from here none of 300 failed (a workflow busy with more
 * answers late, or not at all).
 */
const UPDATES_IN_FLIGHT = 8;

/** Creates the gateway over a Temporal client. */
export function createWorkflowGateway(options: GatewayOptions): WorkflowGateway {
  const limited = createLimiter(UPDATES_IN_FLIGHT);
  const send = (update: string) => (call: DeploymentCall<OperationRequest>) =>
    limited(call.deploymentId, () => updateWithStart(options, update, call));
  return {
    deploy: send(DEPLOY_UPDATE),
    remove: send(REMOVE_UPDATE),
    nodeEnrolled: (nodeId) => watchNode(options, nodeId),
  };
}

/** Same key and same content are one update; same key and other content reach the workflow, which refuses them. */
async function updateWithStart(
  { client, timing, answerMs }: GatewayOptions,
  update: string,
  { request, ...place }: DeploymentCall<OperationRequest>,
): Promise<OperationAccepted> {
  const input: DeploymentInput = { ...place, timing };
  const start = new WithStartWorkflowOperation(DEPLOYMENT_WORKFLOW, {
    workflowId: deploymentWorkflowId(place.deploymentId),
    taskQueue: CONTROL_QUEUE,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING' as WorkflowIdConflictPolicy,
  });
  const updateId = `${request.operationId}-${request.requestHash.slice(0, 16)}`;
  return await answered(() =>
    client.connection.withDeadline(Date.now() + answerMs, () =>
      client.workflow.executeUpdateWithStart<never, OperationAccepted, [OperationRequest]>(update, {
        updateId,
        args: [request],
        startWorkflowOperation: start as never,
      }),
    ),
  );
}

async function watchNode({ client, node }: GatewayOptions, nodeId: string): Promise<void> {
  const input: NodeInput = { ...node, nodeId };
  await answered(() =>
    client.workflow.signalWithStart(NODE_WORKFLOW, {
      workflowId: nodeWorkflowId(nodeId),
      taskQueue: CONTROL_QUEUE,
      args: [input],
      signal: ENROLLED_SIGNAL,
    }),
  );
}

async function answered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw toDomainError(error);
  }
}

/** A refusal keeps its code; a server that is away, or an answer that is late, is for the caller to try again. */
function toDomainError(error: unknown): unknown {
  if (error instanceof WorkflowUpdateFailedError) return fromFailure(error.cause) ?? error;
  const late = error instanceof WorkflowUpdateRPCTimeoutOrCancelledError;
  if (!late && !isGrpcServiceError(error) && !isGrpcServiceError((error as Error).cause)) return error;
  return new DomainError(
    'WORKFLOWS_UNAVAILABLE',
    'the request was not confirmed in time; it may still be carried out',
    {
      hint: 'Repeat the call with the same idempotency key.',
      cause: error,
    },
  );
}

function fromFailure(failure: unknown): DomainError | undefined {
  if (!(failure instanceof Error)) return undefined;
  if (!(failure instanceof ApplicationFailure)) return fromFailure(failure.cause);
  const code = toErrorCode(failure.type);
  if (!code) return undefined;
  const { hint, field } = (failure.details?.[0] ?? {}) as { hint?: string; field?: string };
  return new DomainError(code, failure.message, { ...(hint ? { hint } : {}), ...(field ? { field } : {}) });
}

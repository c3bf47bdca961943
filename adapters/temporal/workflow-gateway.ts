import {
  type Client,
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, type WorkflowIdConflictPolicy } from '@temporalio/common';
import {
  type ControlRequest,
  DEPLOYMENT_WORKFLOW,
  type DeploymentInput,
  deploymentWorkflowId,
  OPERATION_UPDATES,
  type OperationAccepted,
  type OperationRequest,
} from '../../contracts/deployment.ts';
import { ENROLLED_SIGNAL, NODE_WORKFLOW, type NodeInput, nodeWorkflowId } from '../../contracts/node.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import type { RolloutTiming } from '../../contracts/timing.ts';
import { DomainError, toErrorCode } from '../../domain/errors.ts';
import { createLimiter } from './limiter.ts';

/** A request for a deployment's entity. */
export interface DeploymentCall<Request> {
  readonly deploymentId: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly request: Request;
}

/** How the API reaches the workflows. */
export interface WorkflowGateway {
  /** Stores an operation; answers once it will be carried out. @throws as `storeOperation`, WORKFLOWS_UNAVAILABLE */
  submit(call: DeploymentCall<OperationRequest>): Promise<OperationAccepted>;
  /** Says something about an operation that is not over. @throws as `recordControl`, WORKFLOWS_UNAVAILABLE */
  control(call: DeploymentCall<ControlRequest>): Promise<void>;
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
  return {
    submit: (call) =>
      limited(call.deploymentId, () =>
        updateWithStart<OperationAccepted>(options, OPERATION_UPDATES[call.request.kind], call),
      ),
    control: (call) => limited(call.deploymentId, () => updateWithStart<void>(options, call.request.control, call)),
    nodeEnrolled: (nodeId) => watchNode(options, nodeId),
  };
}

/** Same key and same content are one update; same key and other content reach the workflow, which refuses them. */
async function updateWithStart<Answer>(
  { client, timing, answerMs }: GatewayOptions,
  update: string,
  { request, ...place }: DeploymentCall<OperationRequest | ControlRequest>,
): Promise<Answer> {
  const { deploymentId, organizationId, projectId } = place;
  const input: DeploymentInput = { deploymentId, organizationId, projectId, timing };
  const start = new WithStartWorkflowOperation(DEPLOYMENT_WORKFLOW, {
    workflowId: deploymentWorkflowId(deploymentId),
    taskQueue: CONTROL_QUEUE,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING' as WorkflowIdConflictPolicy,
  });
  const updateId = updateIdOf(request);
  return await answered(() =>
    client.connection.withDeadline(Date.now() + answerMs, () =>
      client.workflow.executeUpdateWithStart<never, Answer, [OperationRequest | ControlRequest]>(update, {
        updateId,
        args: [request],
        startWorkflowOperation: start as never,
      }),
    ),
  );
}

function updateIdOf(request: OperationRequest | ControlRequest): string {
  const hash = request.requestHash.slice(0, 16);
  return 'control' in request ? `${request.idempotencyKey}-${hash}` : `${request.operationId}-${hash}`;
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

/** Makes a call, and turns what it fails of into this platform's own errors. */
export async function answered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
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

import {
  type Client,
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import {
  type ControlRequest,
  DEPLOYMENT_WORKFLOW,
  type DeploymentInput,
  deploymentWorkflowId,
  OPERATION_UPDATES,
  type OperationAccepted,
  type OperationRequest,
} from '../../contracts/deployment.ts';
import {
  DRAIN_UPDATE,
  DRAIN_WORKFLOW,
  type DrainAccepted,
  type DrainInput,
  drainWorkflowId,
  STOP_DRAIN_SIGNAL,
} from '../../contracts/drain.ts';
import {
  ROTATE_UPDATE,
  ROTATION_WORKFLOW,
  ROTATION_WORKFLOW_ID,
  type RotationAccepted,
  type RotationInput,
} from '../../contracts/keys.ts';
import { DOOMED_SIGNAL, ENROLLED_SIGNAL, NODE_WORKFLOW, type NodeInput, nodeWorkflowId } from '../../contracts/node.ts';
import {
  REBALANCE_UPDATE,
  REBALANCE_WORKFLOW,
  REBALANCE_WORKFLOW_ID,
  type RebalanceAccepted,
  type RebalanceInput,
  STOP_REBALANCE_SIGNAL,
} from '../../contracts/rebalance.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { type RolloutTiming, WORKFLOW_TASK_MS } from '../../contracts/timing.ts';
import {
  RESTORE_WORKFLOW,
  type RestoreInput,
  restoreWorkflowId,
  SNAPSHOT_WORKFLOW,
  type SnapshotInput,
  snapshotWorkflowId,
} from '../../contracts/volumes.ts';
import { answered } from './answered.ts';
import { endNode } from './end-node.ts';
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
  /** Ends the watch of a node that was removed; nothing where none runs. @throws WORKFLOWS_UNAVAILABLE */
  nodeRemoved(nodeId: string): Promise<void>;
  /** Starts emptying a node, or joins what is under way. @throws NOT_FOUND, WORKFLOWS_UNAVAILABLE */
  drainNode(call: DrainInput): Promise<DrainAccepted>;
  /** Lets the emptying of a node move nothing further; nothing where none is under way. @throws WORKFLOWS_UNAVAILABLE */
  stopDrain(nodeId: string): Promise<void>;
  /** Starts carrying out the moves of a plan, or joins what is under way. @throws WORKFLOWS_UNAVAILABLE */
  rebalance(call: RebalanceInput): Promise<RebalanceAccepted>;
  /** The same for a rebalance as {@link stopDrain} for a drain. @throws WORKFLOWS_UNAVAILABLE */
  stopRebalance(): Promise<void>;
  /** Tells a node's workflow that something there is to go. @throws WORKFLOWS_UNAVAILABLE */
  nodeDoomed(nodeId: string): Promise<void>;
  /** Starts taking a snapshot; one that is under way goes on. @throws WORKFLOWS_UNAVAILABLE */
  takeSnapshot(call: Omit<SnapshotInput, 'timing'>): Promise<void>;
  /** Starts making a volume of a snapshot; what is under way goes on. @throws WORKFLOWS_UNAVAILABLE */
  restoreSnapshot(call: Omit<RestoreInput, 'timing'>): Promise<void>;
  /** Starts a rotation of the master key, or joins the one that is under way. @throws WORKFLOWS_UNAVAILABLE */
  rotateKeys(call: RotationCall): Promise<RotationAccepted>;
}

/** A request for a rotation of the master key. */
export type RotationCall = Pick<RotationInput, 'rotationId' | 'masterKeyId' | 'actorUserId'>;

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
    nodeEnrolled: (nodeId) => signalNode(options, nodeId, ENROLLED_SIGNAL),
    nodeDoomed: (nodeId) => signalNode(options, nodeId, DOOMED_SIGNAL),
    nodeRemoved: (nodeId) => endNode(options.client, nodeId),
    drainNode: (call) => drainNode(options, call),
    stopDrain: (nodeId) => signalRunning(options, drainWorkflowId(nodeId), STOP_DRAIN_SIGNAL),
    rebalance: (call) => rebalance(options, call),
    stopRebalance: () => signalRunning(options, REBALANCE_WORKFLOW_ID, STOP_REBALANCE_SIGNAL),
    takeSnapshot: (call) =>
      startOnce(options, { type: SNAPSHOT_WORKFLOW, id: snapshotWorkflowId(call.snapshotId), call }),
    restoreSnapshot: (call) =>
      startOnce(options, { type: RESTORE_WORKFLOW, id: restoreWorkflowId(call.volumeId), call }),
    rotateKeys: (call) => rotateKeys(options, call),
  };
}

/** Same key and same content are one update; same key and other content reach the workflow, which refuses them. */
async function updateWithStart<Answer>(
  options: GatewayOptions,
  update: string,
  { request, ...place }: DeploymentCall<OperationRequest | ControlRequest>,
): Promise<Answer> {
  const { deploymentId, organizationId, projectId } = place;
  const input: DeploymentInput = { deploymentId, organizationId, projectId, timing: options.timing };
  return await executeWithStart<Answer, OperationRequest | ControlRequest>(options, {
    workflow: { type: DEPLOYMENT_WORKFLOW, id: deploymentWorkflowId(deploymentId), input },
    update: { name: update, id: updateIdOf(request), args: [request] },
  });
}

/** Of calls at the same time one starts the workflow, and all get the answer of that run. */
async function rotateKeys(options: GatewayOptions, call: RotationCall): Promise<RotationAccepted> {
  const input: RotationInput = { ...call, heartbeatMs: options.timing.heartbeatMs };
  return await executeWithStart<RotationAccepted, never>(options, {
    workflow: { type: ROTATION_WORKFLOW, id: ROTATION_WORKFLOW_ID, input },
    update: { name: ROTATE_UPDATE, id: call.rotationId, args: [] },
  });
}

async function drainNode(options: GatewayOptions, input: DrainInput): Promise<DrainAccepted> {
  return await executeWithStart<DrainAccepted, never>(options, {
    workflow: { type: DRAIN_WORKFLOW, id: drainWorkflowId(input.nodeId), input },
    update: { name: DRAIN_UPDATE, id: input.drainId, args: [] },
  });
}

async function rebalance(options: GatewayOptions, input: RebalanceInput): Promise<RebalanceAccepted> {
  return await executeWithStart<RebalanceAccepted, never>(options, {
    workflow: { type: REBALANCE_WORKFLOW, id: REBALANCE_WORKFLOW_ID, input },
    update: { name: REBALANCE_UPDATE, id: input.rebalanceId, args: [] },
  });
}

/** Nothing where no such workflow runs. */
async function signalRunning({ client }: GatewayOptions, workflowId: string, signal: string): Promise<void> {
  const workflow = client.workflow.getHandle(workflowId);
  await answered(() =>
    workflow.signal(signal).catch((error: unknown) => {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }),
  );
}

interface WithStart<Argument> {
  readonly workflow: { readonly type: string; readonly id: string; readonly input: unknown };
  readonly update: { readonly name: string; readonly id: string; readonly args: [] | [Argument] };
}

async function executeWithStart<Answer, Argument>(
  { client, answerMs }: GatewayOptions,
  { workflow, update }: WithStart<Argument>,
): Promise<Answer> {
  const start = new WithStartWorkflowOperation(workflow.type, {
    workflowId: workflow.id,
    taskQueue: CONTROL_QUEUE,
    args: [workflow.input],
    workflowTaskTimeout: WORKFLOW_TASK_MS,
    workflowIdConflictPolicy: 'USE_EXISTING' as WorkflowIdConflictPolicy,
  });
  return await answered(() =>
    client.connection.withDeadline(Date.now() + answerMs, () =>
      client.workflow.executeUpdateWithStart<never, Answer, [] | [Argument]>(update.name, {
        updateId: update.id,
        args: update.args,
        startWorkflowOperation: start as never,
      }),
    ),
  );
}

function updateIdOf(request: OperationRequest | ControlRequest): string {
  const hash = request.requestHash.slice(0, 16);
  return 'control' in request ? `${request.idempotencyKey}-${hash}` : `${request.operationId}-${hash}`;
}

async function signalNode({ client, node }: GatewayOptions, nodeId: string, signal: string): Promise<void> {
  const input: NodeInput = { ...node, nodeId };
  await answered(() =>
    client.workflow.signalWithStart(NODE_WORKFLOW, {
      workflowId: nodeWorkflowId(nodeId),
      taskQueue: CONTROL_QUEUE,
      args: [input],
      workflowTaskTimeout: WORKFLOW_TASK_MS,
      signal,
    }),
  );
}

/** A repeated call finds the workflow that runs; one that has ended is not started again. */
async function startOnce(
  { client, timing: { nodePickUpMs, heartbeatMs } }: GatewayOptions,
  { type, id, call }: { readonly type: string; readonly id: string; readonly call: object },
): Promise<void> {
  await answered(() =>
    client.workflow
      .start(type, {
        workflowId: id,
        taskQueue: CONTROL_QUEUE,
        workflowTaskTimeout: WORKFLOW_TASK_MS,
        args: [{ ...call, timing: { nodePickUpMs, heartbeatMs } }],
        workflowIdConflictPolicy: 'USE_EXISTING' as WorkflowIdConflictPolicy,
        workflowIdReusePolicy: 'REJECT_DUPLICATE' as WorkflowIdReusePolicy,
      })
      .catch((error: unknown) => {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }),
  );
}

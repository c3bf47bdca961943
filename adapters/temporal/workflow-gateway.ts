import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type {
  ControlRequest,
  OperationAccepted,
  OperationRequest,
  PlaceOfDeployment,
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
import { WORKFLOW_TASK_MS } from '../../contracts/timing.ts';
import {
  RESTORE_WORKFLOW,
  type RestoreInput,
  restoreWorkflowId,
  SNAPSHOT_WORKFLOW,
  type SnapshotInput,
  snapshotWorkflowId,
} from '../../contracts/volumes.ts';
import { createLimiter } from '../limits/limiter.ts';
import { answered } from './answered.ts';
import { control, type DeploymentCall, type DeploymentCallOptions, submit, tellStored } from './deployment-calls.ts';
import { endNode } from './end-node.ts';
import { executeWithStart } from './update-with-start.ts';

/** How the API reaches the workflows. */
export interface WorkflowGateway {
  /** Stores an operation; answers once it will be carried out. @throws as `storeOperation` */
  submit(call: DeploymentCall<OperationRequest>): Promise<OperationAccepted>;
  /** Tells the workflow of a deployment that there is something to be carried out. @throws WORKFLOWS_UNAVAILABLE */
  tellStored(place: PlaceOfDeployment): Promise<void>;
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
export interface GatewayOptions extends DeploymentCallOptions {
  readonly node: Omit<NodeInput, 'nodeId' | 'carried'>;
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
    submit: (call) => limited(call.deploymentId, () => submit(options, call)),
    tellStored: (place) => tellStored(options, place),
    control: (call) => limited(call.deploymentId, () => control(options, call)),
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

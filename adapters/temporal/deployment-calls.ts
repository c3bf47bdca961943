import type { Client } from '@temporalio/client';
import type { StoreActivities } from '../../contracts/activities.ts';
import {
  type ControlRequest,
  DEPLOYMENT_WORKFLOW,
  type DeploymentInput,
  deploymentWorkflowId,
  OPERATION_STORED_SIGNAL,
  type OperationAccepted,
  type OperationRequest,
  type PlaceOfDeployment,
} from '../../contracts/deployment.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { type RolloutTiming, WORKFLOW_TASK_MS } from '../../contracts/timing.ts';
import { answered } from './answered.ts';
import { executeWithStart } from './update-with-start.ts';

/** A request for a deployment's entity. */
export interface DeploymentCall<Request> extends PlaceOfDeployment {
  readonly request: Request;
}

/** What calls of deployments need. */
export interface DeploymentCallOptions {
  readonly client: Client;
  /** Stores an operation, as the activity of that name does. */
  readonly storeOperation: StoreActivities['storeOperation'];
  /** Told when a workflow could not be told of an operation; it is told again later. */
  readonly onUntold: (place: PlaceOfDeployment, error: unknown) => void;
  /** What a deployment keeps from its creation on. */
  readonly timing: RolloutTiming;
  /** How long a caller waits for an update's answer, milliseconds. */
  readonly answerMs: number;
}

/** How long a caller waits, whose operation is stored, until its workflow knows. */
const TELLING_MS = 2_000;

/**
 * An operation that is stored will be carried out, so a workflow that cannot be told of it just now is no reason to refuse
 * it: it is told again by whoever finds what was not taken.
 */
export async function submit(
  options: DeploymentCallOptions,
  call: DeploymentCall<OperationRequest>,
): Promise<OperationAccepted> {
  const { request, ...place } = call;
  const accepted = await options.storeOperation({ ...place, request });
  if (accepted.open) await tellStored(options, place).catch((error: unknown) => options.onUntold(place, error));
  return accepted;
}

/**
 * Tells a workflow, starting it where it does not run. What it finds is in the database, so being told twice, or late,
 * changes nothing.
 */
export async function tellStored({ client, timing }: DeploymentCallOptions, place: PlaceOfDeployment): Promise<void> {
  const input = inputOf(place, timing);
  const start = {
    workflowId: deploymentWorkflowId(input.deploymentId),
    taskQueue: CONTROL_QUEUE,
    args: [input],
    workflowTaskTimeout: WORKFLOW_TASK_MS,
    signal: OPERATION_STORED_SIGNAL,
  };
  await answered(() =>
    client.connection.withDeadline(Date.now() + TELLING_MS, () =>
      client.workflow.signalWithStart(DEPLOYMENT_WORKFLOW, start),
    ),
  );
}

/** Same key and same content are one update; same key and other content reach the workflow, which refuses them. */
export async function control(options: DeploymentCallOptions, call: DeploymentCall<ControlRequest>): Promise<void> {
  const { request, ...place } = call;
  const input = inputOf(place, options.timing);
  await executeWithStart<void, ControlRequest>(options, {
    workflow: { type: DEPLOYMENT_WORKFLOW, id: deploymentWorkflowId(input.deploymentId), input },
    update: {
      name: request.control,
      id: `${request.idempotencyKey}-${request.requestHash.slice(0, 16)}`,
      args: [request],
    },
  });
}

function inputOf(
  { deploymentId, organizationId, projectId }: PlaceOfDeployment,
  timing: RolloutTiming,
): DeploymentInput {
  return { deploymentId, organizationId, projectId, timing };
}

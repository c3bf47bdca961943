import type { DeploymentSpec } from '../domain/spec.ts';
import type { RolloutTiming } from './timing.ts';

/** Workflow type of the entity that owns one deployment. */
export const DEPLOYMENT_WORKFLOW = 'deployment';

/** Workflow id of a deployment's entity: exactly one per deployment. */
export function deploymentWorkflowId(deploymentId: string): string {
  return `deployment/${deploymentId}`;
}

/** Update that asks for a new revision; also creates the deployment. Answers with {@link OperationAccepted}. */
export const DEPLOY_UPDATE = 'deploy';

/** Update that asks for the deployment's end. Answers with {@link OperationAccepted}. */
export const REMOVE_UPDATE = 'remove';

/** Query for {@link DeploymentView}. */
export const VIEW_QUERY = 'view';

/** Who asks for an operation, and how a repeated request is recognised. */
export interface OperationRequest {
  /** UUID, derived from organization and idempotency key, so that every attempt of a request carries the same one. */
  readonly operationId: string;
  readonly idempotencyKey: string;
  /** Hex SHA-256 of what was asked, values of variables included; the same key with another hash is refused. */
  readonly requestHash: string;
  readonly actorUserId: string;
}

/** Asks for a new revision. */
export interface DeployRequest extends OperationRequest {
  /** Set on the request that creates the deployment: its name. `null` on every other. */
  readonly createAs: string | null;
  /** Complete and valid; its variables are sealed. */
  readonly spec: DeploymentSpec;
}

/** Asks for the deployment's end. */
export type RemoveRequest = OperationRequest;

/** The operation is stored and will be carried out, whatever dies. */
export interface OperationAccepted {
  readonly operationId: string;
  /** The revision that the operation brings up; 0 for a removal. */
  readonly revision: number;
  /** Whether it still has to be carried out: false when a repeated request finds it ended. */
  readonly open: boolean;
}

/** An accepted operation that waits for its turn, or is being carried out. */
export interface PendingOperation {
  readonly kind: 'deploy' | 'remove';
  readonly operationId: string;
  readonly revision: number;
}

/** Input of the deployment workflow. */
export interface DeploymentInput {
  readonly deploymentId: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly timing: RolloutTiming;
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: { readonly pending: readonly PendingOperation[] };
}

/** What the query `view` answers: where the entity stands, for operators. */
export interface DeploymentView {
  readonly current: PendingOperation | null;
  readonly pending: readonly PendingOperation[];
}

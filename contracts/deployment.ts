import type { Move } from '../domain/move.ts';
import type { OperationKind } from '../domain/operation.ts';
import type { ComposeSpec, SingleSpec } from '../domain/spec.ts';
import type { SpecChange } from '../domain/spec-change.ts';
import type { RolloutTiming } from './timing.ts';

/** Workflow type of the entity that owns one deployment. */
export const DEPLOYMENT_WORKFLOW = 'deployment';

/** Workflow id of a deployment's entity: exactly one per deployment. */
export function deploymentWorkflowId(deploymentId: string): string {
  return `deployment/${deploymentId}`;
}

/**
 * Signal: an operation was stored, and is to be taken from the database. It carries nothing, so it may come twice, late, or in
 * another order than what was stored.
 */
export const OPERATION_STORED_SIGNAL = 'operation-stored';

/**
 * Updates that ask for an operation, named as its kind. Each answers with {@link OperationAccepted}. Nobody asks so any more
 * but an API that is older than its orchestrator, in the middle of an upgrade.
 */
export const OPERATION_UPDATES: Record<OperationKind, string> = {
  deploy: 'deploy',
  update: 'update',
  rollback: 'rollback',
  scale: 'scale',
  restart: 'restart',
  stop: 'stop',
  start: 'start',
  heal: 'heal',
  move: 'move',
  remove: 'remove',
};

/** What a person can say about an operation that is not over. */
export const CONTROLS = ['cancel', 'pause', 'resume', 'approve'] as const;

/** A kind of word about an operation; also the name of its update, which answers with nothing. */
export type Control = (typeof CONTROLS)[number];

/** Signal: replicas on a lost node, or gone, are to be replaced. Its argument is a {@link PlainRequest} of the kind `heal`. */
export const HEAL_SIGNAL = 'node-lost';

/** Signal: replicas are to be moved. Its argument is a {@link MoveRequest}. */
export const MOVE_SIGNAL = 'move-replicas';

/** Signal: a deployment is to be stopped or started. Its argument is a {@link PlainRequest}. */
export const POWER_SIGNAL = 'switch-power';

/** Signal to the workflow that asked for an operation: it has ended, however it did. Its argument is the operation's id. */
export const OPERATION_ENDED_SIGNAL = 'operation-ended';

/** Query for {@link DeploymentView}. */
export const VIEW_QUERY = 'view';

/** Who asks for an operation and why, and how a repeated request is recognised. */
export interface RequestIdentity {
  /** UUID, derived from organization and idempotency key, so that every attempt of a request carries the same one. */
  readonly operationId: string;
  readonly idempotencyKey: string;
  /** Hex SHA-256 of what was asked, values of variables included; the same key with another hash is refused. */
  readonly requestHash: string;
  /** A user, or the webhook of the deployment. */
  readonly actorUserId: string;
  /** Why, in the words of whoever asks; may be empty. */
  readonly reason: string;
  /** Whether the operation that is under way shall be cancelled for this one. */
  readonly supersedeRunning: boolean;
  /** Id of the workflow that asks, to be told when the operation has ended; absent when a person asks. */
  readonly tellWorkflowId?: string;
}

/** Asks for a new revision with a spec of its own. */
export interface DeployRequest extends RequestIdentity {
  readonly kind: 'deploy';
  /** Set on the request that creates the deployment: its name. `null` on every other. */
  readonly createAs: string | null;
  /** Complete and valid; its variables are sealed. `replicas` null: as many as now. */
  readonly spec: (Omit<SingleSpec, 'replicas'> & { readonly replicas: number | null }) | ComposeSpec;
}

/** Asks for a new revision that differs from the newest one in what the change names. */
export interface UpdateRequest extends RequestIdentity {
  readonly kind: 'update';
  readonly change: SpecChange;
  /** Whether a Git ref is looked up again; else a change that names no source keeps the commit. */
  readonly freshSource?: boolean;
}

/** Asks for a copy of an older revision, with the images that it ran. */
export interface RollbackRequest extends RequestIdentity {
  readonly kind: 'rollback';
  /** `null`: the one that ran before the present one. */
  readonly toRevision: number | null;
}

/** Asks for another number of replicas of a service. */
export interface ScaleRequest extends RequestIdentity {
  readonly kind: 'scale';
  readonly service: string;
  readonly replicas: number;
}

/** Asks for replicas on other nodes in place of those that it names. */
export interface MoveRequest extends RequestIdentity {
  readonly kind: 'move';
  readonly move: Move;
}

/**
 * Asks for fresh replicas, for none, for those that were stopped, for others in place of those on lost nodes or gone, or for the
 * deployment's end.
 */
export interface PlainRequest extends RequestIdentity {
  readonly kind: 'restart' | 'stop' | 'start' | 'heal' | 'remove';
}

/** Asks for an operation. */
export type OperationRequest =
  | DeployRequest
  | UpdateRequest
  | RollbackRequest
  | ScaleRequest
  | MoveRequest
  | PlainRequest;

/** Says something about an operation that is not over. */
export interface ControlRequest {
  readonly control: Control;
  readonly operationId: string;
  readonly idempotencyKey: string;
  readonly requestHash: string;
  readonly actorUserId: string;
}

/** The operation is stored and will be carried out, whatever dies. */
export interface OperationAccepted {
  readonly operationId: string;
  readonly kind: OperationKind;
  /** The revision that the operation makes; 0 when it makes none. */
  readonly revision: number;
  /** Whether it still has to be carried out: false when a repeated request finds it ended. */
  readonly open: boolean;
}

/** An operation as a deployment's workflow finds it stored. */
export interface TakenOperation {
  readonly operationId: string;
  readonly kind: OperationKind;
  /** The revision that the operation makes; 0 when it makes none. */
  readonly revision: number;
  /** See {@link PendingOperation}. */
  readonly part?: string;
  /** Whether the operation that is under way shall be cancelled for this one. */
  readonly supersedeRunning: boolean;
}

/** What there is to be carried out of a deployment. */
export interface TakenOperations {
  /** False when the deployment has been deleted. */
  readonly exists: boolean;
  /** Those that are open, oldest first. */
  readonly operations: readonly TakenOperation[];
}

/** An accepted operation that waits for its turn, or is being carried out. */
export interface PendingOperation {
  readonly kind: OperationKind;
  readonly operationId: string;
  readonly revision: number;
  /** The part of the deployment that it sets, see `partOf`; absent: all of it, or it is older than that is known. */
  readonly part?: string;
  /** Id of the workflow that is told of its end; absent where none is. */
  readonly tellWorkflowId?: string;
}

/** Which deployment, and whose it is. */
export interface PlaceOfDeployment {
  readonly deploymentId: string;
  readonly organizationId: string;
  readonly projectId: string;
}

/** Input of the deployment workflow. */
export interface DeploymentInput extends PlaceOfDeployment {
  readonly timing: RolloutTiming;
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: { readonly pending: readonly PendingOperation[] };
}

/** What the query `view` answers: where the entity stands, for operators. */
export interface DeploymentView {
  readonly current: PendingOperation | null;
  /** What the operation under way waits for a person for; empty when for nobody. */
  readonly waitsFor: string;
  readonly pending: readonly PendingOperation[];
}

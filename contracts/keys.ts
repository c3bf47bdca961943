import type { KeyPosition, RotationPart, RotationPass } from '../domain/key-rotation.ts';
import type { OperationFailure } from './rollout.ts';

/** Workflow type of a rotation of the master key. */
export const ROTATION_WORKFLOW = 'rotateKeys';

/** Workflow id of a rotation: one at a time. */
export const ROTATION_WORKFLOW_ID = 'keys/rotation';

/** Update that asks for a rotation; answers with {@link RotationAccepted}. No argument: the input says all. */
export const ROTATE_UPDATE = 'rotate';

/** Input of the rotation workflow. */
export interface RotationInput {
  /** UUID, derived from the caller and the idempotency key. */
  readonly rotationId: string;
  /** The master key that shall wrap every data key. */
  readonly masterKeyId: string;
  readonly actorUserId: string;
  /** Silence after which the process that wraps counts as dead, milliseconds. */
  readonly heartbeatMs: number;
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: RotationPass;
}

/** The rotation is recorded and will be carried out, whatever dies. */
export interface RotationAccepted {
  /** Another one than was asked for, when that one is under way. */
  readonly rotationId: string;
}

/** Activities of a rotation, on the queue of the orchestrators. */
export interface KeyActivities {
  /**
   * Records that a rotation has begun. One that a dead workflow left open is recorded as failed.
   *
   * @returns whether it still has to be carried out: not when a repeated request finds it ended.
   */
  beginRotation(input: Pick<RotationInput, 'rotationId' | 'masterKeyId' | 'actorUserId'>): Promise<{ open: boolean }>;
  /**
   * Wraps some thousand data keys in a row by the wanted master key, in batches of one transaction each. Safe to run
   * twice: what the wanted key wraps is left alone. Heartbeats all the while.
   *
   * @throws CONFIGURATION: final, when this process does not have the wanted master key.
   */
  rewrapKeys(input: RewrapInput): Promise<RotationPart>;
  /** Records how a rotation ended; `null` means that it reached its goal. */
  endRotation(input: { readonly rotationId: string; readonly failure: OperationFailure | null }): Promise<void>;
}

/** Input of {@link KeyActivities.rewrapKeys}. */
export interface RewrapInput extends Pick<RotationInput, 'rotationId' | 'masterKeyId'> {
  readonly after: KeyPosition | null;
}

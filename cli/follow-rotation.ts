import { type Rotation, RotationState, type WatchRotationResponse } from '../gen/obiente/cloud/v1/keys_pb.ts';
import type { Api } from './client.ts';
import { OperationFailed } from './failures.ts';
import { followRecord } from './follow-record.ts';

/** How a rotation is followed. */
export interface FollowingRotation {
  readonly rotation: Rotation;
  readonly signal: AbortSignal;
  readonly onChange: (rotation: Rotation) => void;
  readonly onInterruption: () => void;
}

/**
 * Watches a rotation until it has ended, through restarts of the API, and answers with how it then stands.
 *
 * @throws OperationFailed when it failed; whatever it has wrapped by then stays wrapped.
 */
export async function followRotation(api: Api, following: FollowingRotation): Promise<Rotation> {
  const { rotation: begun, ...how } = following;
  const rotation = await followRecord<WatchRotationResponse, Rotation>({
    ...{ begun, ...how },
    open: (signal) => api.keys.watchRotation({ rotationId: begun.id }, { signal }),
    pick: (message) => message.rotation,
  });
  if (rotation.state !== RotationState.FAILED) return rotation;
  const { errorCode: code, errorMessage: message, errorHint: hint } = rotation;
  throw new OperationFailed({ code, message, hint, lastLines: [] });
}

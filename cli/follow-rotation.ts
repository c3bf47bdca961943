import { type Rotation, RotationState, type WatchRotationResponse } from '../gen/obiente/cloud/v1/keys_pb.ts';
import type { Api } from './client.ts';
import { OperationFailed } from './failures.ts';
import { resumingStream } from './resuming-stream.ts';

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
  const { signal, onChange, onInterruption } = following;
  let { rotation } = following;
  const messages = resumingStream<WatchRotationResponse, undefined>({
    open: (_, streamSignal) => api.keys.watchRotation({ rotationId: rotation.id }, { signal: streamSignal }),
    advance: () => undefined,
    start: undefined,
    signal,
    onInterruption,
  });
  for await (const message of messages) {
    rotation = message.rotation ?? rotation;
    onChange(rotation);
  }
  if (rotation.state !== RotationState.FAILED) return rotation;
  const { errorCode: code, errorMessage: message, errorHint: hint } = rotation;
  throw new OperationFailed({ code, message, hint, lastLines: [] });
}

import type { NodeActivities } from '../contracts/node-activities.ts';
import { volumeName } from '../domain/naming.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { ReplicaPorts } from './node-ports.ts';

/**
 * Creates the activity that removes a volume with all that is in it.
 *
 * Safe to run twice: what is gone counts as removed.
 *
 * @throws VOLUME_IN_USE (retryable) while a container mounts it.
 */
export function createRemoveVolume({
  instance,
  runtime,
}: {
  readonly instance: string;
  readonly runtime: Pick<ReplicaPorts['runtime'], 'removeVolume'>;
}): Pick<NodeActivities, 'removeVolume'> {
  return {
    removeVolume: (of) =>
      withHeartbeats({ step: 'remove volume' }, () => runtime.removeVolume(volumeName(instance, of))),
  };
}

import type { CarryPorts } from '../../activities/carry-volume.ts';
import { createStallGuard } from '../../adapters/docker/stall.ts';
import { openVolume } from '../../adapters/node-client/open-export.ts';
import { DomainError } from '../../domain/errors.ts';

/** A daemon looks through a whole volume before it goes on after a long run of nothing; longer than this it hangs. */
const SILENCE_MS = 3 * 60_000;

/** Streams what is in a volume of another node. @throws NODE_UNAVAILABLE when nothing comes for 3 min. */
export const openGuardedVolume: CarryPorts['openVolume'] = async function* (of, signal) {
  const guard = createStallGuard(SILENCE_MS, signal);
  try {
    for await (const chunk of openVolume(of, guard.signal)) {
      guard.seen();
      yield chunk;
      guard.seen();
    }
  } catch (error) {
    if (!guard.stalled()) throw error;
    const message = `volume is not carried on: nothing came from node ${of.nodeId} for ${SILENCE_MS / 60_000} min`;
    throw new DomainError('NODE_UNAVAILABLE', message, { hint: 'Look at the nodes with "obiente nodes".' });
  } finally {
    guard.stop();
  }
};

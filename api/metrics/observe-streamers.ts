import pLimit from 'p-limit';
import type { StreamerObservation } from '../../activities/observe-cluster.ts';
import type { Streamer, Streamers } from '../gateways/streamers.ts';

/** What is asked of the cluster. */
export interface ObserveStreamersDeps extends Pick<Streamers, 'observe'> {
  /** The streamers of all nodes that are not lost. */
  readonly listStreamers: () => Promise<readonly Streamer[]>;
}

/** A streamer answers in milliseconds; one that takes longer counts as away. */
const ANSWER_MS = 2_000;

/** Streamers asked at the same time. */
const AT_ONCE = 50;

/** Asks all streamers, each with its own deadline, what alerts look at. A silent one is in the answer as not reachable. */
export async function observeStreamers({
  listStreamers,
  observe,
}: ObserveStreamersDeps): Promise<StreamerObservation[]> {
  const limit = pLimit(AT_ONCE);
  const ask = async (streamer: Streamer): Promise<StreamerObservation> => {
    const { nodeId } = streamer;
    try {
      const said = await observe(streamer, AbortSignal.timeout(ANSWER_MS));
      return {
        ...{ nodeId, reachable: true, healthy: said.healthy, breakerState: said.circuit_breaker_state },
        spoolAgeSeconds: said.storage.spoolAgeSeconds ?? 0,
        rowsLost: Math.max(said.storage.rowsDropped, said.storage_metrics_failed),
      };
    } catch {
      // That it does not answer is the answer.
      return { nodeId, reachable: false, healthy: false, breakerState: 0, spoolAgeSeconds: null, rowsLost: 0 };
    }
  };
  return await Promise.all((await listStreamers()).map((streamer) => limit(ask, streamer)));
}

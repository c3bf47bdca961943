import pLimit from 'p-limit';
import type { Streamer, Streamers } from '../gateways/streamers.ts';

/** What finding the ingresses needs. */
export interface IngressNodesDeps {
  /** The streamers of all nodes that are not lost. */
  readonly listStreamers: () => Promise<readonly Streamer[]>;
  readonly countsRequests: Streamers['countsRequests'];
  /** A clock that never jumps, milliseconds. */
  readonly monotonic: () => number;
}

/** Nodes get or lose an ingress when somebody sets them up: they are asked again after this. */
const FRESH_MS = 60_000;

/** A streamer answers in milliseconds; what one that takes longer said before counts. */
const ANSWER_MS = 2_000;

/** Streamers asked at the same time. */
const AT_ONCE = 50;

/**
 * Creates the look for nodes whose streamers count the requests of an ingress. A stream of a deployment reads those beside
 * the nodes that hold replicas, since requests come in where the ingress is.
 *
 * All nodes are asked, once a minute at most, and only when somebody wants to know. Nobody waits for it but the first: later
 * ones get the answer before while the next is found out.
 */
export function createIngressNodes(deps: IngressNodesDeps): () => Promise<readonly Streamer[]> {
  const known = new Map<string, boolean>();
  let newest: Promise<readonly Streamer[]> | undefined;
  let askedMs = Number.NEGATIVE_INFINITY;

  const counts = async (streamer: Streamer): Promise<boolean> => {
    try {
      const answer = await deps.countsRequests(streamer, AbortSignal.timeout(ANSWER_MS));
      known.set(streamer.nodeId, answer);
      return answer;
    } catch {
      // It is away: as it was when it answered.
      return known.get(streamer.nodeId) ?? false;
    }
  };

  const ask = async (): Promise<readonly Streamer[]> => {
    const limit = pLimit(AT_ONCE);
    const streamers = await deps.listStreamers();
    const present = new Set(streamers.map(({ nodeId }) => nodeId));
    for (const nodeId of known.keys()) if (!present.has(nodeId)) known.delete(nodeId);
    const answers = await Promise.all(streamers.map((streamer) => limit(() => counts(streamer))));
    return streamers.filter((_, index) => answers[index]);
  };

  return async () => {
    if (!newest || deps.monotonic() - askedMs >= FRESH_MS) {
      askedMs = deps.monotonic();
      const before = newest;
      const asking = ask().catch((): Promise<readonly Streamer[]> | readonly Streamer[] => before ?? []);
      if (!before) newest = asking;
      else void asking.then((found) => (newest = Promise.resolve(found)));
    }
    return await (newest ?? []);
  };
}

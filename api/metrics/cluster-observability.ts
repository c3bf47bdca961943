import pLimit from 'p-limit';
import { type Observability, sumObservability, toOperatorAnswer } from '../../domain/metrics/observability.ts';
import type { Streamer, Streamers } from '../gateways/streamers.ts';

/** What is asked of the cluster. */
export interface ClusterObservabilityDeps {
  /** The streamers of all nodes that are not lost. */
  readonly listStreamers: () => Promise<readonly Streamer[]>;
  readonly observe: (...asked: Parameters<Streamers['observe']>) => Promise<Observability>;
  /** A clock that never jumps, milliseconds. */
  readonly monotonic: () => number;
}

/** One node in a cluster's answer: its counters, or that its streamer does not answer. */
export type NodeObservability =
  | ({ readonly node_id: string; readonly reachable: true } & Observability)
  | { readonly node_id: string; readonly reachable: false };

/** A cluster's answer: the nodes' counters summed, and each of them. */
export interface ClusterObservabilityAnswer extends Observability {
  readonly nodes: readonly NodeObservability[];
}

/** How live metrics stand on all nodes. */
export interface MetricsHealth {
  readonly healthy: boolean;
  readonly consecutiveFailures: number;
  /** Steps back from the usual interval of the most strained node. */
  readonly degradationLevel: number;
}

/** Watches over the streamers of all nodes. */
export interface ClusterObservability {
  read(): Promise<ClusterObservabilityAnswer>;
  /** Whether live metrics work, for `GET /health`. */
  health(): Promise<MetricsHealth>;
}

/** A streamer answers in milliseconds; one that takes longer counts as away. */
const ANSWER_MS = 2_000;

/** Probes of several balancers share an answer of this age. */
const FRESH_MS = 2_000;

/** Streamers asked at the same time. */
const AT_ONCE = 50;

/** Answers in a row with a silent streamer until that is a failure: one that restarts is back before. */
const FAILURE_THRESHOLD = 3;

/** Creates the watch. It asks when it is asked itself, and not more often than every two seconds. */
export function createClusterObservability(deps: ClusterObservabilityDeps): ClusterObservability {
  let newest: { readonly askedMs: number; readonly answer: Promise<ClusterObservabilityAnswer> } | undefined;
  let silentInARow = 0;

  const observeOne = async (streamer: Streamer): Promise<NodeObservability> => {
    const { nodeId: node_id } = streamer;
    try {
      const observed = await deps.observe(streamer, AbortSignal.timeout(ANSWER_MS));
      return { node_id, reachable: true, ...toOperatorAnswer(observed) };
    } catch {
      // That it does not answer is the answer.
      return { node_id, reachable: false };
    }
  };

  const ask = async (): Promise<ClusterObservabilityAnswer> => {
    const limit = pLimit(AT_ONCE);
    const streamers = await deps.listStreamers();
    const nodes = await Promise.all(streamers.map((streamer) => limit(observeOne, streamer)));
    const isSilent = nodes.some(({ reachable }) => !reachable);
    silentInARow = isSilent ? silentInARow + 1 : 0;
    const sum = toOperatorAnswer(sumObservability(nodes.filter((node) => node.reachable)));
    return { ...sum, healthy: sum.healthy && silentInARow < FAILURE_THRESHOLD, nodes };
  };

  const read = (): Promise<ClusterObservabilityAnswer> => {
    const askedMs = deps.monotonic();
    if (newest && askedMs - newest.askedMs < FRESH_MS) return newest.answer;
    const answer = ask();
    newest = { askedMs, answer };
    answer.catch(() => {
      if (newest?.answer === answer) newest = undefined;
    });
    return answer;
  };

  return {
    read,
    health: async () => {
      const { healthy, consecutive_failures, degradation_level: degradationLevel } = await read();
      return { healthy, consecutiveFailures: Math.max(consecutive_failures, silentInARow), degradationLevel };
    },
  };
}

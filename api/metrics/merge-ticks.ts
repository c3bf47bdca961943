import type { Delivery } from '../../domain/metrics/conflating-buffer.ts';
import type { ContainerSample, RequestSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';

/** What a node tells of. */
export type LiveItem = ContainerSample | RequestSample;

/** A round of one node. */
export interface NodeRound extends Delivery<LiveItem> {
  /** Whether these are the rounds of the past. */
  readonly isPast: boolean;
  /** Time between two rounds of this node, milliseconds; 0 when it does not say. */
  readonly intervalMs: number;
  /** Steps back from the usual interval, under load; none when it does not say. */
  readonly degradationLevel?: number;
}

/** How a node is heard. */
export interface Freshness {
  readonly nodeId: string;
  readonly isStale: boolean;
  /** By the wall clock; `null` when it never was. */
  readonly heardAtMs: number | null;
  readonly intervalMs: number;
  readonly degradationLevel?: number;
}

/** One tick of all nodes. */
export interface Tick extends Delivery<LiveItem> {
  readonly isPast: boolean;
  readonly nodes: readonly Freshness[];
}

/** Makes ticks of the rounds of many nodes. */
export interface TickMerger {
  /** Says which nodes there are now. */
  setNodes(nodeIds: readonly string[]): void;
  /** Takes a round. @returns the ticks that it completes, as a rule one or none. */
  hear(nodeId: string, round: NodeRound): readonly Tick[];
  /** Notes that time has passed. @returns the tick that need not wait any longer. */
  look(): readonly Tick[];
  /** When to look again if nothing is heard, by the monotonic clock. */
  nextLookMs(): number;
}

interface Node {
  isStale: boolean;
  /** By the monotonic clock: the last round, or when the node became one of ours. */
  sinceMs: number;
  heardAtMs: number | null;
  intervalMs: number;
  degradationLevel?: number;
  /** The past has come. */
  isTold: boolean;
}

/** Rounds that a node may leave out until it counts as stale; one may be late, or be lost on its way. */
const MISSED_ROUNDS = 2.5;

/** For a node that has not said how often it tells. */
const DEFAULT_INTERVAL_MS = 5_000;

/** How long the first answer waits for the past of a node. */
const FIRST_WAIT_MS = 2_000;

/**
 * Creates the merger of one reader's nodes.
 *
 * A tick holds one round of each node that is heard: it is handed on when all have come, so that sums over replicas are of
 * one tick, and at the latest when one node comes a second time or another is found to be stale. Nodes do not begin their
 * rounds together, so a round may wait for as long as an interval.
 */
export function createTickMerger(clock: { monotonic(): number; now(): number }): TickMerger {
  const nodes = new Map<string, Node>();
  let pending = new Map<string, NodeRound>();
  let past = new Map<string, NodeRound>();
  const beganMs = clock.monotonic();
  let hasBegun = false;

  const staleAtMs = ({ sinceMs, intervalMs }: Node): number =>
    sinceMs + MISSED_ROUNDS * (intervalMs || DEFAULT_INTERVAL_MS);

  const freshness = (): Freshness[] =>
    [...nodes]
      .map(([nodeId, { isStale, heardAtMs, intervalMs, degradationLevel: level }]) => {
        return { nodeId, isStale, heardAtMs, intervalMs, ...(level ? { degradationLevel: level } : {}) };
      })
      .sort((one, other) => (one.nodeId < other.nodeId ? -1 : 1));

  const toTick = (rounds: ReadonlyMap<string, NodeRound>, isPast: boolean): Tick => ({
    samples: [...rounds.values()].flatMap(({ samples }) => samples),
    missedRounds: [...rounds.values()].reduce((most, { missedRounds }) => Math.max(most, missedRounds), 0),
    rounds: [...rounds.values()].reduce((most, { rounds: own = 1 }) => Math.max(most, own), 1),
    isPast,
    nodes: freshness(),
  });

  const flushPast = (): Tick[] => {
    hasBegun = true;
    const tick = toTick(past, true);
    past = new Map();
    return [tick];
  };
  const flush = (): Tick[] => {
    const tick = toTick(pending, false);
    pending = new Map();
    return [tick];
  };

  const settle = (): Tick[] => {
    const all = [...nodes];
    const waitsForPast = all.some(([, node]) => !node.isTold && !node.isStale);
    const ticks: Tick[] = [];
    if (!hasBegun && (!waitsForPast || clock.monotonic() - beganMs >= FIRST_WAIT_MS)) ticks.push(...flushPast());
    else if (hasBegun && past.size > 0) ticks.push(...flushPast());
    if (!hasBegun || pending.size === 0) return ticks;
    const isWhole = all.every(([nodeId, node]) => node.isStale || !node.isTold || pending.has(nodeId));
    return isWhole ? [...ticks, ...flush()] : ticks;
  };

  return {
    setNodes: (nodeIds) => {
      const wanted = new Set(nodeIds);
      for (const nodeId of nodes.keys()) if (!wanted.has(nodeId)) nodes.delete(nodeId);
      for (const nodeId of nodeIds) {
        if (nodes.has(nodeId)) continue;
        nodes.set(nodeId, {
          isStale: false,
          sinceMs: clock.monotonic(),
          heardAtMs: null,
          intervalMs: 0,
          isTold: false,
        });
      }
    },
    hear: (nodeId, round) => {
      const node = nodes.get(nodeId);
      if (!node) return [];
      Object.assign(node, { isStale: false, sinceMs: clock.monotonic(), heardAtMs: clock.now() });
      const { intervalMs, degradationLevel = 0 } = round;
      Object.assign(node, { intervalMs, degradationLevel, isTold: true });
      if (round.isPast) {
        past.set(nodeId, round);
        return settle();
      }
      const late = hasBegun && pending.has(nodeId) ? flush() : [];
      const waiting = pending.get(nodeId);
      pending.set(nodeId, waiting ? joined(waiting, round) : round);
      return [...late, ...settle()];
    },
    look: () => {
      let isNews = false;
      for (const node of nodes.values()) {
        if (node.isStale || clock.monotonic() < staleAtMs(node)) continue;
        node.isStale = true;
        isNews = true;
      }
      const ticks = settle();
      return isNews && hasBegun && ticks.length === 0 ? flush() : ticks;
    },
    nextLookMs: () => {
      const moments = [...nodes.values()].filter(({ isStale }) => !isStale).map(staleAtMs);
      return Math.min(...moments, hasBegun ? Number.POSITIVE_INFINITY : beganMs + FIRST_WAIT_MS);
    },
  };
}

/** Two rounds of one node, of which the first could not be handed on yet. */
function joined(one: NodeRound, other: NodeRound): NodeRound {
  return {
    ...other,
    samples: [...one.samples, ...other.samples],
    missedRounds: one.missedRounds + other.missedRounds,
    rounds: (one.rounds ?? 1) + (other.rounds ?? 1),
  };
}

/**
 * Where a replica stands in a rollout: `starting` until found healthy, `ready` while healthy and not routed,
 * `serving` while the routes send requests to it, `drained` once they no longer do.
 */
export type RolloutPhase = 'starting' | 'ready' | 'serving' | 'drained';

/** A replica as a rollout sees it. */
export interface RolloutReplica {
  readonly replicaId: string;
  readonly revision: number;
  readonly phase: RolloutPhase;
}

/** Everything that the next step depends on. */
export interface RolloutState {
  /** The revision that is being brought up. */
  readonly revision: number;
  /** How many replicas of it are wanted. */
  readonly desired: number;
  /** How many replicas may exist beyond `desired` while both revisions run. */
  readonly surge: number;
  /** Replicas of the new revision that were planned but not started, in the order of their index. */
  readonly unstarted: readonly string[];
  readonly replicas: readonly RolloutReplica[];
}

/** What to do next; `switch` changes the routes once, `remove` takes containers away. */
export type RolloutStep =
  | { readonly kind: 'start'; readonly replicaIds: readonly string[] }
  | { readonly kind: 'switch'; readonly serve: readonly string[]; readonly drain: readonly string[] }
  | { readonly kind: 'remove'; readonly replicaIds: readonly string[] }
  | { readonly kind: 'done' };

/**
 * Decides the next step of a rollout, and nothing else.
 *
 * Called during replay, so it reads no clock, random source or environment; ties are broken by replica id. Routes lose
 * an old replica only when the serving ones still add up to what served before or to `desired`, so a rollout by itself
 * never lowers capacity. Old replicas that do not serve are of no use and go first.
 */
export function nextStep(state: RolloutState): RolloutStep {
  const drained = state.replicas.filter((replica) => replica.phase === 'drained');
  if (drained.length > 0) return { kind: 'remove', replicaIds: idsOf(drained) };

  const isCurrent = (replica: RolloutReplica): boolean => replica.revision === state.revision;
  const idle = state.replicas.filter((replica) => !isCurrent(replica) && replica.phase !== 'serving');
  const ready = state.replicas.filter((replica) => isCurrent(replica) && replica.phase === 'ready');
  const drain = excess(state);
  if (ready.length + idle.length + drain.length > 0) {
    return { kind: 'switch', serve: idsOf(ready), drain: idsOf([...idle, ...drain]) };
  }

  const room = state.desired + state.surge - state.replicas.length;
  const start = state.unstarted.slice(0, Math.max(0, room));
  return start.length > 0 ? { kind: 'start', replicaIds: start } : { kind: 'done' };
}

/** Old serving replicas that the healthy ones of the new revision make superfluous. */
function excess(state: RolloutState): RolloutReplica[] {
  const current = state.replicas.filter(
    (replica) => replica.revision === state.revision && replica.phase !== 'starting',
  );
  const old = state.replicas.filter((replica) => replica.revision !== state.revision && replica.phase === 'serving');
  const spare = Math.max(0, current.length + old.length - state.desired);
  return [...old].sort(byId).slice(0, Math.min(spare, old.length));
}

function byId(a: RolloutReplica, b: RolloutReplica): number {
  return a.replicaId < b.replicaId ? -1 : Number(a.replicaId > b.replicaId);
}

function idsOf(replicas: readonly RolloutReplica[]): string[] {
  return replicas.map((replica) => replica.replicaId).sort();
}

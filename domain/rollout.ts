import type { CanaryStep, RolloutGate, RolloutPolicy } from './rollout-policy.ts';

/**
 * Where a replica stands in a rollout: `ready` while healthy and not routed, `serving` while the routes send requests
 * to it, `drained` once they no longer do, `spent` when it never shall (again) and only has to go.
 */
export type RolloutPhase = 'ready' | 'serving' | 'drained' | 'spent';

/** A replica as a rollout sees it. */
export interface RolloutReplica {
  readonly replicaId: string;
  readonly service: string;
  /** Whether it belongs to what is wanted; every other one is to go. */
  readonly wanted: boolean;
  readonly phase: RolloutPhase;
}

/** How many replicas of one service are wanted. */
export interface WantedService {
  readonly name: string;
  readonly replicas: number;
  /** Whether two replicas of it must never exist side by side: it writes a volume. Then it has one replica at most. */
  readonly exclusive?: boolean;
}

/** Everything that the next step depends on. */
export interface RolloutState {
  readonly policy: RolloutPolicy;
  readonly services: readonly WantedService[];
  readonly replicas: readonly RolloutReplica[];
  /** Share of the requests that wanted replicas get; `null` when all that serve are alike. */
  readonly weightPercent: number | null;
  /** Ids of the gates that were passed. */
  readonly passed: readonly string[];
}

/** What to do next. */
export type RolloutStep =
  /** Start so many replicas of each of these services. */
  | { readonly kind: 'start'; readonly starts: readonly { readonly service: string; readonly count: number }[] }
  /** Change the routes, once for all. */
  | {
      readonly kind: 'switch';
      readonly serve: readonly string[];
      readonly drain: readonly string[];
      readonly weightPercent: number | null;
    }
  /** Wait for what the gate says; then its id counts as passed. */
  | { readonly kind: 'gate'; readonly id: string; readonly gate: RolloutGate }
  /** Take containers away. */
  | { readonly kind: 'remove'; readonly replicaIds: readonly string[] }
  | { readonly kind: 'done' };

/** Gate before requests reach what is new. */
const BEFORE_SWITCH = 'before-switch';
/** Gate before the old replicas of a blue-green rollout go. */
const KEEP_OLD = 'keep-old';

/**
 * Decides the next step of a rollout, and nothing else.
 *
 * Called during replay, so it reads no clock, random source or environment; ties are broken by replica id. Under
 * `rolling`, `blue-green` and `canary` the routes lose an old replica only when those that serve still add up to the
 * wanted number less what may be unavailable, so a rollout by itself never lowers capacity below that. New replicas of
 * all services begin to serve in one switch, when all that fit beside the old ones are healthy.
 *
 * An exclusive service is the exception: under every strategy its old replica is taken away before its new one starts,
 * once everything else that is new is healthy, and before anything else that is old goes. So the time without it is
 * that of one start, and the way back from a new one that fails needs no other service to be started again.
 */
export function nextStep(state: RolloutState): RolloutStep {
  const spent = inPhase(state, 'spent');
  if (spent.length > 0) return { kind: 'remove', replicaIds: idsOf(spent) };
  const drained = inPhase(state, 'drained');
  if (drained.length > 0) return keepOld(state) ?? { kind: 'remove', replicaIds: idsOf(drained) };
  const { policy } = state;
  if (policy.strategy === 'recreate') return recreate(state);
  return (policy.strategy === 'canary' ? canary(state, policy.steps) : undefined) ?? roll(state);
}

function keepOld({ policy, passed }: RolloutState): RolloutStep | undefined {
  if (policy.strategy !== 'blue-green' || policy.keepOldMs === 0 || passed.includes(KEEP_OLD)) return undefined;
  return { kind: 'gate', id: KEEP_OLD, gate: { kind: 'wait', waitMs: policy.keepOldMs } };
}

/** Where there is room for everything beside the old ones, everything is started before the routes change. */
function roll(state: RolloutState): RolloutStep {
  const starts = start(state, (service) => Math.min(missing(state, service), room(state, service)));
  if (starts.kind === 'start' && hasRoomForAll(state.policy)) return starts;
  const inTheWay = makeRoom(state);
  if (inTheWay.length > 0) return gateBefore(state, inTheWay) ?? toSwitch([], inTheWay);
  const ready = inPhase(state, 'ready');
  const drain = state.services.flatMap((service) => excess(state, service)).concat(strangers(state));
  if (ready.length + drain.length > 0 || state.weightPercent !== null) {
    return gateBefore(state, ready) ?? toSwitch(ready, drain);
  }
  return starts;
}

/** What serves of exclusive services and is to be replaced, once nothing else is left to start. */
function makeRoom(state: RolloutState): RolloutReplica[] {
  if (state.services.some((service) => !service.exclusive && missing(state, service) > 0)) return [];
  const names = state.services.filter((service) => service.exclusive && missing(state, service) > 0);
  return serving(state, false).filter((replica) => names.some(({ name }) => name === replica.service));
}

/** The old ones go first, since two must never run side by side; an old one that nothing replaces goes at once too. */
function recreate(state: RolloutState): RolloutStep {
  const old = serving(state, false);
  const ready = inPhase(state, 'ready');
  if (old.length > 0) return gateBefore(state, old) ?? toSwitch(ready, old);
  if (ready.length > 0) return toSwitch(ready, []);
  return start(state, (service) => missing(state, service));
}

/** `undefined` once all steps are behind, or when there is nothing that a share could be taken from. */
function canary(state: RolloutState, steps: readonly CanaryStep[]): RolloutStep | undefined {
  const index = steps.findIndex((_, at) => !state.passed.includes(`canary-${at}`));
  const step = steps[index];
  if (!step || serving(state, false).length === 0) return undefined;
  const { weightPercent, gate } = step;
  const short = (service: WantedService): number =>
    Math.max(
      0,
      Math.min(
        missing(state, service),
        room(state, service),
        ceilShare(service.replicas, weightPercent) - present(state, service),
      ),
    );
  if (state.services.some((service) => short(service) > 0)) return start(state, short);
  const ready = inPhase(state, 'ready');
  if (ready.length > 0 || state.weightPercent !== weightPercent) return { ...toSwitch(ready, []), weightPercent };
  return { kind: 'gate', id: `canary-${index}`, gate };
}

function toSwitch(serve: readonly RolloutReplica[], drain: readonly RolloutReplica[]) {
  return { kind: 'switch', serve: idsOf(serve), drain: idsOf(drain), weightPercent: null } as const;
}

function start(state: RolloutState, countOf: (service: WantedService) => number): RolloutStep {
  const counts = state.services.map((service) => ({ service: service.name, count: countOf(service) }));
  const starts = counts.filter(({ count }) => count > 0);
  return starts.length > 0 ? { kind: 'start', starts } : { kind: 'done' };
}

/** A person decides before anything of what serves is touched, or anything new serves. */
function gateBefore({ policy, passed }: RolloutState, touched: readonly RolloutReplica[]): RolloutStep | undefined {
  const asks = policy.strategy !== 'canary' && policy.approval;
  if (!asks || touched.length === 0 || passed.includes(BEFORE_SWITCH)) return undefined;
  return { kind: 'gate', id: BEFORE_SWITCH, gate: { kind: 'approval' } };
}

/** Old serving replicas of a service that the others make superfluous; see `makeRoom` for exclusive ones. */
function excess(state: RolloutState, service: WantedService): RolloutReplica[] {
  if (service.exclusive && missing(state, service) > 0) return [];
  const old = serving(state, false).filter((replica) => replica.service === service.name);
  const floor = service.replicas - bounds(state.policy, service.replicas).unavailable;
  const spare = Math.max(0, available(state, service) + old.length - floor);
  return [...old].sort(byId).slice(0, Math.min(spare, old.length));
}

/** Old serving replicas of services that are no longer wanted at all go with the switch that makes the new ones serve. */
function strangers(state: RolloutState): RolloutReplica[] {
  const known = new Set(state.services.map(({ name }) => name));
  if (state.services.some((service) => missing(state, service) > 0)) return [];
  return serving(state, false).filter((replica) => !known.has(replica.service));
}

function missing(state: RolloutState, service: WantedService): number {
  return service.replicas - present(state, service);
}

function room(state: RolloutState, service: WantedService): number {
  const all = state.replicas.filter((replica) => replica.service === service.name).length;
  if (service.exclusive) return Math.max(0, 1 - all);
  return Math.max(0, service.replicas + bounds(state.policy, service.replicas).surge - all);
}

function present(state: RolloutState, service: WantedService): number {
  return state.replicas.filter((replica) => replica.wanted && replica.service === service.name).length;
}

function available(state: RolloutState, service: WantedService): number {
  return state.replicas.filter(
    ({ wanted, service: name, phase }) => wanted && name === service.name && (phase === 'ready' || phase === 'serving'),
  ).length;
}

/**
 * How many replicas there may be beyond the wanted number, and how many fewer. Rounded as Kubernetes does it: the surge
 * up, the unavailable down, and one unavailable when both come to nothing. All but `rolling` may start everything beside.
 */
function bounds(policy: RolloutPolicy, desired: number): { readonly surge: number; readonly unavailable: number } {
  if (policy.strategy !== 'rolling') return { surge: Number.POSITIVE_INFINITY, unavailable: 0 };
  const unbounded = hasRoomForAll(policy) ? Number.POSITIVE_INFINITY : undefined;
  if (unbounded) return { surge: unbounded, unavailable: floorShare(desired, policy.maxUnavailablePercent) };
  const surge = ceilShare(desired, policy.maxSurgePercent);
  const unavailable = floorShare(desired, policy.maxUnavailablePercent);
  return surge + unavailable > 0 ? { surge, unavailable } : { surge: 0, unavailable: Math.min(1, desired) };
}

function hasRoomForAll(policy: RolloutPolicy): boolean {
  return policy.strategy !== 'rolling' || policy.maxSurgePercent >= 100;
}

function ceilShare(count: number, percent: number): number {
  return Math.ceil((count * percent) / 100);
}

function floorShare(count: number, percent: number): number {
  return Math.floor((count * percent) / 100);
}

function inPhase(state: RolloutState, phase: RolloutPhase): RolloutReplica[] {
  return state.replicas.filter((replica) => replica.phase === phase);
}

function serving(state: RolloutState, wanted: boolean): RolloutReplica[] {
  return state.replicas.filter((replica) => replica.phase === 'serving' && replica.wanted === wanted);
}

function byId(a: { readonly replicaId: string }, b: { readonly replicaId: string }): number {
  return a.replicaId < b.replicaId ? -1 : Number(a.replicaId > b.replicaId);
}

function idsOf(replicas: readonly RolloutReplica[]): string[] {
  return replicas.map((replica) => replica.replicaId).sort();
}

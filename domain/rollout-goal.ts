import { DomainError } from './errors.ts';
import { makesRevision, type OperationKind } from './operation.ts';
import type { RolloutReplica, WantedService } from './rollout.ts';
import { DEFAULT_ROLLOUT, type RolloutPolicy } from './rollout-policy.ts';

/** What is wanted of one service: so many replicas of one revision. */
export interface ServiceGoal {
  readonly name: string;
  readonly revision: number;
  readonly replicas: number;
}

/** The services of a plan as its steps are decided by. */
export function wantedServices(plan: {
  readonly goal: readonly ServiceGoal[];
  readonly exclusive?: readonly string[];
}): readonly WantedService[] {
  return plan.goal.map(({ name, replicas }) => {
    return { name, replicas, exclusive: plan.exclusive?.includes(name) ?? false };
  });
}

/** What a deployment is wanted to be when an operation has succeeded. */
export interface DeploymentGoal {
  /** What runs while it is not stopped. */
  readonly services: readonly ServiceGoal[];
  readonly stopped: boolean;
}

/** Everything that an operation's goal follows from. */
export interface GoalFacts {
  readonly kind: OperationKind;
  /** The services of the revision that the operation makes, each with the revision of what shall run: that one, or an
   * older one where nothing of the service has changed. None for an operation that makes no revision. */
  readonly services: readonly ServiceGoal[];
  /** What a scale asks for; `null` for every other kind. */
  readonly scale: { readonly service: string; readonly replicas: number } | null;
  /** What was reached last. */
  readonly current: DeploymentGoal;
}

/**
 * Says what an operation is to reach.
 *
 * @throws NOT_DEPLOYED when it changes how something runs and nothing was ever brought up, or is stopped.
 */
export function goalOf({ kind, services, scale, current }: GoalFacts): DeploymentGoal {
  if (makesRevision(kind)) return { services, stopped: false };
  if (current.services.length === 0) throw notDeployed(kind, 'no revision of it has ever run');
  if (kind === 'restart' && current.stopped) throw notDeployed(kind, 'it is stopped');
  if (kind === 'stop' || kind === 'start') return { ...current, stopped: kind === 'stop' };
  if (!scale) return current;
  if (!current.services.some(({ name }) => name === scale.service)) {
    throw notDeployed(kind, `its current revision has no service ${scale.service}`);
  }
  const scaled = current.services.map((service) =>
    service.name === scale.service ? { ...service, replicas: scale.replicas } : service,
  );
  return { ...current, services: scaled };
}

/** How many replicas of what have to run for a goal. */
export function toRun({ services, stopped }: DeploymentGoal): readonly ServiceGoal[] {
  return stopped ? services.map((service) => ({ ...service, replicas: 0 })) : services;
}

function notDeployed(kind: OperationKind, finding: string): DomainError {
  return new DomainError('NOT_DEPLOYED', `cannot ${kind} the deployment: ${finding}`, {
    hint: kind === 'restart' ? 'Start it, or deploy a revision first.' : 'Deploy a revision first.',
  });
}

/** A replica as it is recorded when a rollout begins. */
export interface RecordedReplica {
  readonly replicaId: string;
  readonly service: string;
  readonly revision: number;
  readonly index: number;
  /** Whether the routes send requests to it. */
  readonly serving: boolean;
  readonly healthy: boolean;
  /** Whether it is to be replaced for the node that it is on; absent: it is not. */
  readonly givenUp?: boolean;
  /** Whether this very operation took it out of the routes, so that it can serve again without a start. */
  readonly resumable: boolean;
}

/** A recorded replica with its part in the rollout. */
export type AssessedReplica<Recorded extends RecordedReplica> = Recorded & Pick<RolloutReplica, 'wanted' | 'phase'>;

/**
 * Says of every recorded replica whether it belongs to the goal.
 *
 * Of those that fit the healthy ones come first, then those that serve, then the lowest index; what is beyond the wanted
 * number has to go, like everything of another revision and what is given up. With `renew` none fits: all are replaced. What does not serve
 * and cannot again is spent.
 */
export function assess<Recorded extends RecordedReplica>(
  goal: readonly ServiceGoal[],
  recorded: readonly Recorded[],
  { renew }: { readonly renew: boolean },
): AssessedReplica<Recorded>[] {
  const wanted = new Set(
    renew ? [] : goal.flatMap((service) => fitting(service, recorded).map((one) => one.replicaId)),
  );
  return recorded.map((replica) => {
    const isWanted = wanted.has(replica.replicaId);
    if (replica.serving) return { ...replica, wanted: isWanted, phase: 'serving' };
    return isWanted ? { ...replica, wanted: true, phase: 'ready' } : { ...replica, wanted: false, phase: 'spent' };
  });
}

function fitting<Recorded extends RecordedReplica>(service: ServiceGoal, recorded: readonly Recorded[]): Recorded[] {
  const able = recorded.filter(
    (replica) =>
      replica.service === service.name &&
      replica.revision === service.revision &&
      (replica.serving || replica.resumable) &&
      replica.givenUp !== true,
  );
  return able.sort(bestFirst).slice(0, service.replicas);
}

function bestFirst(a: RecordedReplica, b: RecordedReplica): number {
  return Number(b.healthy) - Number(a.healthy) || Number(b.serving) - Number(a.serving) || a.index - b.index;
}

/** How a kind of operation replaces replicas: only a new revision is worth a share of the requests or a person's word. */
export function policyFor(kind: OperationKind, policy: RolloutPolicy): RolloutPolicy {
  if (kind === 'deploy' || kind === 'update' || kind === 'rollback') return policy;
  if (policy.strategy === 'recreate') return { strategy: 'recreate', approval: false };
  return policy.strategy === 'rolling' ? { ...policy, approval: false } : DEFAULT_ROLLOUT;
}

/** How a rollout returns to what was before it: at once and without asking anybody, but never two side by side. */
export function returnPolicy(policy: RolloutPolicy): RolloutPolicy {
  return policy.strategy === 'recreate' ? { strategy: 'recreate', approval: false } : DEFAULT_ROLLOUT;
}

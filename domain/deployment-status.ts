import { isOpen, type OperationKind, type OperationState } from './operation.ts';
import { describeReplicas, type ReplicaFacts } from './replica-reason.ts';
import type { ServiceGoal } from './rollout-goal.ts';

/** What a deployment is at the moment, for people and programs. */
export type DeploymentStatus =
  | 'CREATED'
  | 'BUILDING'
  | 'DEPLOYING'
  | 'RUNNING'
  | 'DEGRADED'
  | 'STOPPED'
  | 'FAILED'
  | 'DELETING';

/** Everything that the status follows from. */
export interface StatusFacts {
  /** The newest operation. */
  readonly operation: {
    readonly kind: OperationKind;
    readonly state: OperationState;
    readonly errorMessage: string;
    /** What it waits for a person for; empty when for nobody. */
    readonly waitsFor: string;
  };
  /** Whether the wanted revision has a service that comes from a Dockerfile and has no image yet. */
  readonly imageMissing: boolean;
  /** What runs when all goes well: the goal that was reached last; empty when no revision ever came up. */
  readonly goal: readonly ServiceGoal[];
  /** Whether it was stopped on purpose. */
  readonly stopped: boolean;
  readonly replicas: readonly ReplicaFacts[];
}

/** A status with its reason; the reason is empty when all is well. */
export interface StatusVerdict {
  readonly status: DeploymentStatus;
  readonly reason: string;
}

/** Operations that bring something up: while one is under way the deployment is what it is on the way to. */
const BRINGS_UP: ReadonlySet<OperationKind> = new Set(['deploy', 'update', 'rollback', 'start']);

/**
 * Derives the status from what runs, so that it can never be left behind by a process that died.
 *
 * An operation that brings something up shows while it is under way; a failed one shows as the reason while an old
 * revision goes on serving. `nowMs`, milliseconds since 1970, is only for how soon something happens.
 */
export function deriveStatus(facts: StatusFacts, nowMs: number): StatusVerdict {
  const { operation, goal, stopped } = facts;
  const open = isOpen(operation.state);
  if (operation.kind === 'remove' && operation.state !== 'failed') return { status: 'DELETING', reason: '' };
  if (open && BRINGS_UP.has(operation.kind)) return openVerdict(facts);
  const failure = operation.state === 'failed' ? operation.errorMessage : '';
  if (goal.length === 0) return open ? openVerdict(facts) : { status: 'FAILED', reason: failure || NEVER_UP };
  if (stopped || goal.every(({ replicas }) => replicas === 0)) return { status: 'STOPPED', reason: failure };
  return runningVerdict(facts, failure, nowMs);
}

const NEVER_UP = 'no revision has ever come up';

function openVerdict({ operation, imageMissing, goal }: StatusFacts): StatusVerdict {
  if (operation.state === 'queued') return { status: goal.length > 0 ? 'DEPLOYING' : 'CREATED', reason: '' };
  const reason = operation.waitsFor === '' ? '' : `waits for ${operation.waitsFor}`;
  return { status: imageMissing ? 'BUILDING' : 'DEPLOYING', reason };
}

function runningVerdict({ replicas, goal }: StatusFacts, failure: string, nowMs: number): StatusVerdict {
  const wanted = goal.reduce((sum, service) => sum + service.replicas, 0);
  const current = replicas.filter((replica) =>
    goal.some(({ name, revision }) => name === replica.service && revision === replica.revision),
  );
  const healthy = goal.reduce((sum, service) => sum + Math.min(service.replicas, healthyOf(current, service)), 0);
  if (healthy >= wanted) return { status: 'RUNNING', reason: failure };
  const reason = describeReplicas(current, { healthy, wanted }, nowMs);
  return { status: healthy === 0 ? 'FAILED' : 'DEGRADED', reason };
}

function healthyOf(replicas: StatusFacts['replicas'], { name }: ServiceGoal): number {
  return replicas.filter(({ service, state }) => service === name && state === 'healthy').length;
}

import { describeReplicas, type ReplicaFacts } from './replica-reason.ts';

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
    readonly kind: 'deploy' | 'remove';
    readonly state: 'queued' | 'running' | 'succeeded' | 'failed' | 'superseded';
    readonly errorMessage: string;
  };
  /** Whether the wanted revision comes from a Dockerfile and has no image yet. */
  readonly imageMissing: boolean;
  /** The revision that serves and how many replicas it wants; `null` when none has ever served. */
  readonly serving: { readonly revision: number; readonly replicas: number } | null;
  readonly replicas: readonly ReplicaFacts[];
}

/** A status with its reason; the reason is empty when all is well. */
export interface StatusVerdict {
  readonly status: DeploymentStatus;
  readonly reason: string;
}

/**
 * Derives the status from what runs, so that it can never be left behind by a process that died.
 *
 * `nowMs`, milliseconds since 1970, is only for how soon something happens. An operation under way shows; a failed one shows as the reason while an old revision goes on serving.
 */
export function deriveStatus(facts: StatusFacts, nowMs: number): StatusVerdict {
  const { operation, serving } = facts;
  const open = operation.state === 'queued' || operation.state === 'running';
  if (operation.kind === 'remove' && operation.state !== 'failed') return { status: 'DELETING', reason: '' };
  if (open) return { status: openStatus(facts), reason: '' };
  const failure = operation.state === 'failed' ? operation.errorMessage : '';
  if (!serving) return { status: 'FAILED', reason: failure || 'no revision has ever served' };
  if (serving.replicas === 0) return { status: 'STOPPED', reason: failure };
  return servingVerdict({ ...facts, serving }, failure, nowMs);
}

function openStatus({ operation, imageMissing, serving }: StatusFacts): DeploymentStatus {
  if (operation.state === 'queued') return serving ? 'DEPLOYING' : 'CREATED';
  return imageMissing ? 'BUILDING' : 'DEPLOYING';
}

function servingVerdict(
  { replicas, serving }: StatusFacts & { readonly serving: NonNullable<StatusFacts['serving']> },
  failure: string,
  nowMs: number,
): StatusVerdict {
  const current = replicas.filter((replica) => replica.revision === serving.revision);
  const healthy = current.filter((replica) => replica.state === 'healthy').length;
  if (healthy >= serving.replicas) return { status: 'RUNNING', reason: failure };
  const reason = describeReplicas(current, serving.replicas, nowMs);
  return { status: healthy === 0 ? 'FAILED' : 'DEGRADED', reason };
}

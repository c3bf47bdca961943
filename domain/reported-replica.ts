import type { ObservedContainer } from './container.ts';
import { LABEL } from './naming.ts';
import type { RestartRecord } from './restart-record.ts';

/** A replica as its node reports it. */
export interface ReportedReplica {
  readonly deploymentId: string;
  readonly revision: number;
  readonly replicaId: string;
  readonly containerId: string;
  readonly state: 'starting' | 'healthy' | 'unhealthy' | 'exited' | 'removed';
  /** Why it is unhealthy, for people, at most {@link LONGEST_REASON} characters; empty otherwise. */
  readonly healthReason: string;
  /** Of the last exit, also while it runs again; `null` when none is known. */
  readonly exitCode: number | null;
  /** Whether the kernel killed a process of it for its memory, up to its last exit or since. */
  readonly outOfMemory: boolean;
  /** Restarts of its container in all. */
  readonly restarts: number;
  /** Restarts since it last ran for long. */
  readonly restartStreak: number;
  /** RFC 3339; `null` while it runs, and when it is not to be restarted. */
  readonly nextRestartAt: string | null;
  /** `null` without a published port. */
  readonly hostPort: number | null;
  /** RFC 3339; `null` before the first start. */
  readonly startedAt: string | null;
}

/** What a node reports at a time; a complete report names everything that the node knows of. */
export interface ReplicaReport {
  readonly replicas: readonly ReportedReplica[];
  readonly complete: boolean;
}

/** A replica that is recorded on a node, and was not in its complete report. */
export type UnseenReplica = Pick<ReportedReplica, 'deploymentId' | 'revision' | 'replicaId' | 'containerId'>;

/** How the restarts of a container stand: what the node remembers of it, and what it plans. */
export interface RestartStanding extends Pick<RestartRecord, 'restarts' | 'streak' | 'exitCode' | 'outOfMemory'> {
  readonly nextRestartAt: string | null;
}

/** What the node's checks say about a container that runs. */
export interface CheckedHealth {
  readonly state: 'starting' | 'healthy' | 'unhealthy';
  /** What the look found that made it unhealthy; empty otherwise. */
  readonly reason: string;
}

/** The control plane takes no longer ones. */
const LONGEST_REASON = 300;

/**
 * Says what a node reports of a container; `undefined` for one that is no replica.
 *
 * One that was created and never started is `starting`; one that Docker is about to restart has `exited`.
 */
export function toReportedReplica(
  container: ObservedContainer,
  health: CheckedHealth,
  { restarts, streak, exitCode, outOfMemory, nextRestartAt }: RestartStanding,
): ReportedReplica | undefined {
  const { labels } = container;
  const deploymentId = labels[LABEL.deploymentId];
  const replicaId = labels[LABEL.replica];
  const revision = Number(labels[LABEL.revision]);
  if (!deploymentId || !replicaId || !Number.isInteger(revision) || revision < 1) return undefined;
  return {
    deploymentId,
    revision,
    replicaId,
    containerId: container.id,
    ...stateOf(container, health),
    ...{ exitCode, outOfMemory, restarts, restartStreak: streak, nextRestartAt },
    hostPort: container.hostPort,
    startedAt: container.startedAt,
  };
}

function stateOf(
  { status }: ObservedContainer,
  { state, reason }: CheckedHealth,
): Pick<ReportedReplica, 'state' | 'healthReason'> {
  if (status === 'running') return { state, healthReason: reason.slice(0, LONGEST_REASON) };
  if (status === 'paused') return { state: 'unhealthy', healthReason: 'its container is paused' };
  return { state: status === 'created' ? 'starting' : 'exited', healthReason: '' };
}

import type { ObservedContainer } from './container.ts';
import { LABEL } from './naming.ts';

/** A replica as its node reports it. */
export interface ReportedReplica {
  readonly deploymentId: string;
  readonly revision: number;
  readonly replicaId: string;
  readonly containerId: string;
  readonly state: 'starting' | 'healthy' | 'unhealthy' | 'exited' | 'removed';
  /** Of the last exit; `null` for one that never exited or runs again. */
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
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

/** What the node's checks say about a container that runs. */
export type CheckedHealth = 'starting' | 'healthy' | 'unhealthy';

/**
 * Says what a node reports of a container; `undefined` for one that is no replica.
 *
 * One that Docker is about to restart is `starting`; one that was created and never started is too.
 */
export function toReportedReplica(container: ObservedContainer, health: CheckedHealth): ReportedReplica | undefined {
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
    state: stateOf(container, health),
    exitCode: container.exitCode,
    outOfMemory: container.outOfMemory,
    hostPort: container.hostPort,
    startedAt: container.startedAt,
  };
}

function stateOf({ status }: ObservedContainer, health: CheckedHealth): ReportedReplica['state'] {
  if (status === 'running') return health;
  if (status === 'paused') return 'unhealthy';
  return status === 'created' || status === 'restarting' ? 'starting' : 'exited';
}

import { sql } from 'kysely';
import type { DiskLevel } from '../../../domain/disk-guard.ts';
import { barredByMove } from '../../../domain/move.ts';
import { makesRevision } from '../../../domain/operation.ts';
import type { PlacementNode } from '../../../domain/placement/placement.ts';
import type { DatabaseTransaction } from '../database.ts';
import type { LockedDeployment, StoredOperation } from '../deployment-lock.ts';

/** For whom nodes are looked at. */
export interface NodesFor {
  readonly deployment: Pick<LockedDeployment, 'id' | 'projectId'>;
  /** The operation that places; `null` outside of one, when everything stays. */
  readonly operation: Pick<StoredOperation, 'id' | 'kind' | 'move'> | null;
  /** `null`: all of its services as one. */
  readonly service: string | null;
  /** Name of the deployment that it is to be near. */
  readonly near: string | null;
  /** Ids of nodes that take nothing, whatever is recorded of them. */
  readonly avoid?: readonly string[];
}

/**
 * All nodes with what is reserved on them.
 *
 * A node's state is what its workflow found. Its lease does not count here: when the whole control plane was away, every
 * lease has run out, and a rollout that goes on afterwards finds the nodes as they were.
 */
export async function readPlacementNodes(
  tx: DatabaseTransaction,
  { deployment, operation, service, near, avoid = [] }: NodesFor,
): Promise<PlacementNode[]> {
  // What the operation replaces is gone in the end, and takes nobody's place.
  const replaces = operation !== null && (makesRevision(operation.kind) || operation.kind === 'restart');
  const move = operation?.move ?? null;
  // What moves away leaves with its label's place; where only some do, which ones is decided elsewhere, and all count.
  const leftNode = move?.replicas === null ? move.from : null;
  const nodes = await tx
    .selectFrom('nodes')
    .leftJoin('replicas', 'replicas.node_id', 'nodes.id')
    .leftJoin('deployments', 'deployments.id', 'replicas.deployment_id')
    .select((eb) => [
      'nodes.id as nodeId',
      'nodes.hostname',
      'nodes.state',
      'nodes.architecture',
      'nodes.labels',
      'nodes.cordoned',
      'nodes.disk_level as diskLevel',
      'nodes.disk_notice as diskNotice',
      'nodes.cpu_cores as cpuCores',
      'nodes.memory_bytes as memoryBytes',
      sql<number>`coalesce(sum(replicas.cpu_cores), 0)`.as('reservedCpuCores'),
      sql<number>`coalesce(sum(replicas.memory_bytes), 0)::bigint`.as('reservedMemoryBytes'),
      eb.fn
        .count<number>('replicas.deployment_id')
        .distinct()
        .filterWhere('replicas.deployment_id', '<>', deployment.id)
        .as('otherDeployments'),
      eb.fn
        .count<number>('replicas.replica_id')
        .filterWhere('replicas.deployment_id', '=', deployment.id)
        .$call((count) => (service === null ? count : count.filterWhere('replicas.service', '=', service)))
        .$call((count) => (replaces ? count.filterWhere('replicas.operation_id', '=', operation.id) : count))
        .$call((count) => (leftNode === null ? count : count.filterWhere('replicas.node_id', '<>', leftNode)))
        .as('ownReplicas'),
      eb.fn
        .count<number>('replicas.replica_id')
        .filterWhere('deployments.project_id', '=', deployment.projectId)
        .filterWhere('deployments.name', '=', near ?? '')
        .as('neighbours'),
    ])
    .groupBy('nodes.id')
    .orderBy('nodes.id')
    .execute();
  return nodes.map(({ state, cordoned, diskLevel, diskNotice, neighbours, ...node }) => ({
    ...node,
    hasNeighbour: neighbours > 0,
    ...readinessOf({
      ...{ state, cordoned, diskLevel, diskNotice },
      barred: avoid.includes(node.nodeId) ? IN_TROUBLE : move && barredByMove(move, node.nodeId),
    }),
  }));
}

/** Why a node is avoided, for people. */
const IN_TROUBLE = 'its Docker daemon does not answer';

/** What a node's readiness follows from; `barred`: why it takes nothing of one operation. */
export interface ReadinessFacts {
  readonly state: string;
  readonly cordoned: boolean;
  readonly diskLevel: DiskLevel;
  readonly diskNotice: string;
  readonly barred?: string | null;
}

/** Whether a node takes new replicas, and why not: of several reasons the most urgent. */
export function readinessOf(facts: ReadinessFacts): Pick<PlacementNode, 'ready' | 'unready'> {
  const { state, cordoned, diskLevel, diskNotice, barred = null } = facts;
  if (state !== 'ready') return { ready: false, unready: state };
  if (cordoned) return { ready: false, unready: 'cordoned' };
  if (diskLevel === 'full') return { ready: false, unready: diskNotice };
  return barred === null ? { ready: true } : { ready: false, unready: barred };
}

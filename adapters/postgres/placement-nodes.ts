import { sql } from 'kysely';
import { barredByMove } from '../../domain/move.ts';
import { makesRevision } from '../../domain/operation.ts';
import type { PlacementNode } from '../../domain/placement/placement.ts';
import type { DatabaseTransaction } from './database.ts';
import type { LockedDeployment, StoredOperation } from './deployment-lock.ts';

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
  return nodes.map(({ state, cordoned, neighbours, ...node }) => ({
    ...node,
    hasNeighbour: neighbours > 0,
    ...readinessOf(state, cordoned, avoid.includes(node.nodeId) ? IN_TROUBLE : move && barredByMove(move, node.nodeId)),
  }));
}

/** Why a node is avoided, for people. */
const IN_TROUBLE = 'its Docker daemon does not answer';

/** Whether a node takes new replicas, and why not; `barred`: why it does not for this operation. */
export function readinessOf(
  state: string,
  cordoned: boolean,
  barred: string | null = null,
): Pick<PlacementNode, 'ready' | 'unready'> {
  if (state === 'ready' && !cordoned) return { ready: barred === null, unready: barred ?? state };
  return { ready: false, unready: state === 'ready' ? 'cordoned' : state };
}

import { notFound } from '../../domain/errors.ts';
import type { Database } from './database.ts';
import type { NodeState, PublicJwk } from './schema-nodes.ts';

/** A node on a manager of a Docker Swarm. */
export interface SwarmManagerRecord {
  readonly nodeId: string;
  readonly gatewayUrl: string;
  readonly encryptionJwk: PublicJwk;
}

/** A node on a host of a Docker Swarm. */
export interface SwarmNodeRecord {
  readonly nodeId: string;
  readonly swarmNodeId: string;
  readonly isManager: boolean;
  readonly state: NodeState;
  readonly gatewayUrl: string;
}

/** Says on which host of a swarm a node is. @throws NOT_FOUND when it is on none */
export async function getSwarmNodeId(db: Database, nodeId: string): Promise<string> {
  const node = await db.selectFrom('nodes').select('swarm_node_id').where('id', '=', nodeId).executeTakeFirst();
  if (!node?.swarm_node_id) throw notFound('swarm node');
  return node.swarm_node_id;
}

/** Finds the nodes on some hosts of a swarm; those that are not known to be lost come first. */
export async function findSwarmManagers(
  db: Database,
  swarmNodeIds: readonly string[],
): Promise<readonly SwarmManagerRecord[]> {
  if (swarmNodeIds.length === 0) return [];
  return await db
    .selectFrom('nodes')
    .select(['id as nodeId', 'gateway_url as gatewayUrl', 'encryption_jwk as encryptionJwk'])
    .where('swarm_node_id', 'in', swarmNodeIds)
    .orderBy((eb) => eb('state', '=', 'lost'))
    .orderBy('id')
    .execute();
}

/** Lists the nodes on hosts of swarms, managers first, and among them those that are not known to be lost. */
export async function listNodesInSwarms(db: Database, limit: number): Promise<readonly SwarmNodeRecord[]> {
  return await db
    .selectFrom('nodes')
    .select((eb) => [
      'id as nodeId',
      eb.ref('swarm_node_id').$notNull().as('swarmNodeId'),
      ...(['swarm_manager as isManager', 'state', 'gateway_url as gatewayUrl'] as const),
    ])
    .where('swarm_node_id', 'is not', null)
    .orderBy('swarm_manager', 'desc')
    .orderBy((eb) => eb('state', '=', 'lost'))
    .orderBy('id')
    .limit(limit)
    .execute();
}

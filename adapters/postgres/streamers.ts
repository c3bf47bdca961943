import type { Database } from './database.ts';

/** Where the streamer of a node is. */
export interface StreamerAddress {
  readonly nodeId: string;
  readonly streamerUrl: string;
}

/** Nodes of a cluster at most: what one answer about all of them may hold. */
const MAX_NODES = 10_000;

/** The streamers of the nodes that hold replicas of a deployment, by node; `undefined` when there is no such deployment. */
export async function findStreamers(db: Database, deploymentId: string): Promise<StreamerAddress[] | undefined> {
  const rows = await db
    .selectFrom('deployments')
    .leftJoin('replicas', 'replicas.deployment_id', 'deployments.id')
    .leftJoin('nodes', 'nodes.id', 'replicas.node_id')
    .select(['nodes.id as nodeId', 'nodes.streamer_url as streamerUrl'])
    .distinct()
    .where('deployments.id', '=', deploymentId)
    .orderBy('nodes.id')
    .execute();
  if (rows.length === 0) return undefined;
  return rows.flatMap(({ nodeId, streamerUrl }) =>
    nodeId === null || streamerUrl === null ? [] : [{ nodeId, streamerUrl }],
  );
}

/** The streamers of all nodes that are not lost, by node. */
export async function listStreamers(db: Database): Promise<StreamerAddress[]> {
  return await db
    .selectFrom('nodes')
    .select(['id as nodeId', 'streamer_url as streamerUrl'])
    .where('state', '!=', 'lost')
    .orderBy('id')
    .limit(MAX_NODES)
    .execute();
}

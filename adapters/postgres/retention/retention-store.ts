import type { OrphanStore } from '../../../contracts/orphans.ts';
import type { RetentionNodesInput, RetentionNodesPage, RetentionStore } from '../../../contracts/retention.ts';
import type { RetentionPolicy } from '../../../domain/retention/policy.ts';
import type { Database } from '../database.ts';
import { findNeededImages } from './needed-images.ts';
import { recordOrphans } from './orphan-records.ts';
import { beginRun, finishRun, setItems } from './runs.ts';

/** Nodes that are asked at the same time. */
const NODES_PAGE = 100;

/** Creates what the retention workflow reads and writes by in one short statement or two. */
export function createRetentionStore(db: Database, policy: RetentionPolicy): RetentionStore & OrphanStore {
  return {
    beginRetention: async (input) => ({ policy, isOver: await beginRun(db, input) }),
    listRetentionNodes: (input) => listNodes(db, input),
    findNeededImages: (input) => findNeededImages(db, input),
    recordRetention: (input) => setItems(db, input),
    recordOrphans: (input) => recordOrphans(db, input),
    finishRetention: (input) => finishRun(db, input),
  };
}

/** A node that is cordoned or drained takes no new replicas; what it has is kept in order all the same. */
async function listNodes(db: Database, { afterId, onlyNodeId }: RetentionNodesInput): Promise<RetentionNodesPage> {
  const rows = await db
    .selectFrom('nodes')
    .select(['id', 'state', 'reason'])
    .where('id', '>', afterId)
    .$if(onlyNodeId !== undefined, (query) => query.where('id', '=', onlyNodeId ?? ''))
    .orderBy('id')
    .limit(NODES_PAGE)
    .execute();
  const nodes = rows.map(({ id, state, reason }) => {
    const isAway = state === 'lost' || state === 'degraded';
    return { nodeId: id, unreachable: isAway ? `the node is ${state}${reason === '' ? '' : `: ${reason}`}` : '' };
  });
  return { nodes, next: rows.length < NODES_PAGE ? null : (rows.at(-1)?.id ?? null) };
}

import { type SqlBool, sql } from 'kysely';
import type { Database } from './database.ts';

/** A container with this installation's labels that is no replica of it. */
export interface StrangerRecord {
  readonly nodeId: string;
  /** Docker's full id. */
  readonly containerId: string;
  readonly kind: 'orphan' | 'forged';
  readonly name: string;
  readonly reason: string;
  readonly foundAt: Date;
}

/** A part of the list. */
export interface StrangersPage {
  readonly limit: number;
  readonly nodeId?: string | undefined;
  /** `undefined` for the first page. */
  readonly after?: { readonly nodeId: string; readonly containerId: string } | undefined;
}

/** Lists what the reconciliation has found and nobody owns, by node and container. */
export async function listStrangers(db: Database, { limit, nodeId, after }: StrangersPage): Promise<StrangerRecord[]> {
  return await db
    .selectFrom('strangers')
    .select(['node_id as nodeId', 'container_id as containerId', 'kind', 'name', 'reason', 'found_at as foundAt'])
    .$if(nodeId !== undefined, (query) => query.where('node_id', '=', nodeId ?? ''))
    .$if(after !== undefined, (query) => query.where(isBehind(after ?? { nodeId: '', containerId: '' })))
    .orderBy('node_id')
    .orderBy('container_id')
    .limit(limit)
    .execute();
}

function isBehind({ nodeId, containerId }: NonNullable<StrangersPage['after']>) {
  return sql<SqlBool>`(node_id, container_id) > (${nodeId}::text, ${containerId}::text)`;
}

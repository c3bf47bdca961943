import { sql } from 'kysely';
import { notFound } from '../../domain/errors.ts';
import { joinRefused, whyRefused } from '../../domain/join-token.ts';
import type { Database } from './database.ts';
import { admitNode, type NodeKeyPair } from './node-admissions.ts';

/** A join token, without the token. */
export interface NodeTokenRecord {
  readonly id: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly usedAt: Date | null;
  /** The node that has joined with it. */
  readonly usedBy: string | null;
  readonly revokedAt: Date | null;
  readonly expired: boolean;
}

/** Tokens that are listed; older ones than a month past their end go with each new one. */
const MOST_LISTED = 200;

const IS_EXPIRED = sql<boolean>`expires_at <= now()`;

const COLUMNS = [
  'id',
  'created_by as createdBy',
  'created_at as createdAt',
  'expires_at as expiresAt',
  'used_at as usedAt',
  'used_by as usedBy',
  'revoked_at as revokedAt',
] as const;

/** Stores a token by its hash. */
export async function createNodeToken(
  db: Database,
  token: { readonly id: string; readonly hash: string; readonly createdBy: string; readonly lifetimeS: number },
): Promise<NodeTokenRecord> {
  return await db.transaction().execute(async (tx) => {
    await tx.deleteFrom('node_tokens').where('expires_at', '<', sql<Date>`now() - interval '30 days'`).execute();
    const expires_at = sql<Date>`now() + ${token.lifetimeS} * interval '1 second'`;
    return await tx
      .insertInto('node_tokens')
      .values({ id: token.id, hash: token.hash, created_by: token.createdBy, expires_at })
      .returning([...COLUMNS, IS_EXPIRED.as('expired')])
      .executeTakeFirstOrThrow();
  });
}

/** Lists the newest tokens. */
export async function listNodeTokens(db: Database): Promise<NodeTokenRecord[]> {
  return await db
    .selectFrom('node_tokens')
    .select([...COLUMNS, IS_EXPIRED.as('expired')])
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .limit(MOST_LISTED)
    .execute();
}

/** Revokes a token: nobody joins with it any more. A node that has, stays. @throws NOT_FOUND */
export async function revokeNodeToken(db: Database, id: string): Promise<NodeTokenRecord> {
  const revoked = await db
    .updateTable('node_tokens')
    .set({ revoked_at: sql<Date>`coalesce(revoked_at, now())` })
    .where('id', '=', id)
    .returning([...COLUMNS, IS_EXPIRED.as('expired')])
    .executeTakeFirst();
  if (!revoked) throw notFound('join token');
  return revoked;
}

/**
 * Lets a node join with a token, which is used up by that. The node that has used it may do so again, with its keys.
 *
 * @throws UNAUTHENTICATED for a token that is wrong, expired, revoked or used by another one; PERMISSION_DENIED when the
 * node's id belongs to other keys.
 */
export async function useNodeToken(db: Database, hash: string, node: NodeKeyPair): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const token = await tx
      .selectFrom('node_tokens')
      .select(['id', 'used_by as usedBy', sql<boolean>`revoked_at IS NOT NULL`.as('revoked'), IS_EXPIRED.as('expired')])
      .where('hash', '=', hash)
      .forUpdate()
      .executeTakeFirst();
    const why = whyRefused(token, node.nodeId);
    if (!token || why !== undefined) throw joinRefused(why ?? '');
    await admitNode(tx, node);
    await tx
      .updateTable('node_tokens')
      .set({ used_at: sql<Date>`coalesce(used_at, now())`, used_by: node.nodeId })
      .where('id', '=', token.id)
      .execute();
  });
}

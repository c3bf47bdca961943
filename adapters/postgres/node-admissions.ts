import { sql } from 'kysely';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import type { NodeState, PublicJwk } from './schema-nodes.ts';

/** A node and the public keys that speak for it. */
export interface NodeKeyPair {
  readonly nodeId: string;
  readonly signingJwk: PublicJwk;
  readonly encryptionJwk: PublicJwk;
}

/** Lets keys speak for a node, also for one that was removed. @throws PERMISSION_DENIED when others do already */
export async function admitNode(tx: DatabaseTransaction, node: NodeKeyPair): Promise<void> {
  const admitted = await tx
    .insertInto('node_admissions')
    .values(toRow(node))
    .onConflict((conflict) =>
      conflict
        .column('node_id')
        .doUpdateSet({ revoked_at: null, admitted_at: sql<Date>`now()` })
        .whereRef('node_admissions.signing_jwk', '=', 'excluded.signing_jwk')
        .whereRef('node_admissions.encryption_jwk', '=', 'excluded.encryption_jwk'),
    )
    .returning('node_id')
    .executeTakeFirst();
  if (!admitted) throw otherKeys(node.nodeId);
}

/**
 * Makes sure that a node may enrol, and that it is not removed before the transaction has ended. One that nobody knew is
 * admitted: whoever asks has checked its proof.
 *
 * @throws PERMISSION_DENIED when it was removed, or has other keys.
 */
export async function requireAdmission(tx: DatabaseTransaction, node: NodeKeyPair): Promise<void> {
  const row = toRow(node);
  await tx
    .insertInto('node_admissions')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const admission = await tx
    .selectFrom('node_admissions')
    .select('revoked_at as revokedAt')
    .select((eb) =>
      eb
        .and([eb('signing_jwk', '=', row.signing_jwk as never), eb('encryption_jwk', '=', row.encryption_jwk as never)])
        .as('isSame'),
    )
    .where('node_id', '=', node.nodeId)
    .forShare()
    .executeTakeFirstOrThrow();
  if (!admission.isSame) throw otherKeys(node.nodeId);
  if (admission.revokedAt === null) return;
  throw new DomainError('PERMISSION_DENIED', `cannot enrol node ${node.nodeId}: it was removed from the cluster`, {
    hint: 'Let its host join again with a new token of `obiente node token`.',
  });
}

/** The public signing key that speaks for a node; `undefined` for one that was never admitted, or was removed. */
export async function findAdmittedKey(db: Database, nodeId: string): Promise<PublicJwk | undefined> {
  const found = await db
    .selectFrom('node_admissions')
    .select('signing_jwk as signingJwk')
    .where('node_id', '=', nodeId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return found?.signingJwk;
}

/**
 * Removes a node: what it says is heard no more. Doing it again changes nothing.
 *
 * @throws NOT_FOUND; STILL_USED while it takes replicas, or has some, or data of volumes.
 */
export async function removeNode(db: Database, nodeId: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const admission = await tx
      .selectFrom('node_admissions')
      .select('revoked_at as revokedAt')
      .where('node_id', '=', nodeId)
      .forUpdate()
      .executeTakeFirst();
    const node = await tx
      .selectFrom('nodes')
      .select(['state', 'cordoned'])
      .where('id', '=', nodeId)
      .forUpdate()
      .executeTakeFirst();
    if (!node && admission && admission.revokedAt !== null) return;
    if (!admission) throw notFound('node');
    const why = node ? whyKept(node, await countWhatIsThere(tx, nodeId)) : undefined;
    if (why) throw new DomainError('STILL_USED', `cannot remove node ${nodeId}: ${why.what}`, { hint: why.hint });
    await tx
      .updateTable('node_admissions')
      .set({ revoked_at: sql<Date>`now()` })
      .where('node_id', '=', nodeId)
      .execute();
    await tx.deleteFrom('nodes').where('id', '=', nodeId).execute();
  });
}

interface Held {
  readonly replicas: number;
  readonly volumes: number;
  readonly snapshots: number;
}

async function countWhatIsThere(tx: DatabaseTransaction, nodeId: string): Promise<Held> {
  const { rows } = await sql<Held>`
    SELECT
      (SELECT count(*)::int FROM replicas WHERE node_id = ${nodeId}) AS replicas,
      (SELECT count(*)::int FROM volumes WHERE node_id = ${nodeId}) AS volumes,
      (SELECT count(*)::int FROM volume_snapshots WHERE node_id = ${nodeId}) AS snapshots
  `.execute(tx);
  return rows[0] ?? { replicas: 0, volumes: 0, snapshots: 0 };
}

function whyKept(
  { state, cordoned }: { readonly state: NodeState; readonly cordoned: boolean },
  { replicas, volumes, snapshots }: Held,
): { readonly what: string; readonly hint: string } | undefined {
  const drain = 'Empty it with `obiente node drain`.';
  if (replicas > 0) return { what: `${replicas} ${replicas === 1 ? 'replica is' : 'replicas are'} there`, hint: drain };
  if (volumes + snapshots > 0) {
    const hint = 'Delete them, or restore what is needed elsewhere first.';
    return { what: `the data of ${volumes} volumes and ${snapshots} snapshots is there`, hint };
  }
  if (state !== 'lost' && !cordoned) return { what: 'it takes new replicas', hint: drain };
  return undefined;
}

function toRow({ nodeId, signingJwk, encryptionJwk }: NodeKeyPair) {
  return { node_id: nodeId, signing_jwk: JSON.stringify(signingJwk), encryption_jwk: JSON.stringify(encryptionJwk) };
}

function otherKeys(nodeId: string): DomainError {
  return new DomainError('PERMISSION_DENIED', `cannot enrol node ${nodeId}: the id belongs to other keys`, {
    hint: 'Let the node make a new id by emptying its key folder.',
  });
}

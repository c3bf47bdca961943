import { sql } from 'kysely';
import { leaseLost } from '../../domain/node-lease.ts';
import type { Database, DatabaseTransaction } from './database.ts';

/** A process of a node: which node, and the epoch under which it took the node's lease. */
export interface LeaseClaim {
  readonly nodeId: string;
  readonly epoch: number;
}

/** Who wants to take a node's lease. */
export interface LeaseTaker {
  /** Id of the process (UUID), new at each start; absent from nodes of before leases had holders. */
  readonly holder?: string | undefined;
  /** The process of which the taker knows that it is gone. */
  readonly replaces?: string | undefined;
}

/**
 * Whether a lease is held under an epoch, in a query that has `nodes`. All times are the database's, so no clock of a
 * node counts.
 */
export function isHeldUnder(epoch: number) {
  return sql<boolean>`(nodes.epoch = ${epoch} AND (nodes.lease_holder IS NULL OR nodes.lease_expires_at > now()))`;
}

/** Whether somebody may take a lease: it has ended, is theirs already, or its holder is gone. */
export function mayTake({ holder, replaces }: LeaseTaker) {
  if (holder === undefined) return sql<boolean>`nodes.lease_holder IS NULL`;
  return sql<boolean>`(
    nodes.lease_holder IS NULL OR nodes.lease_expires_at <= now()
    OR nodes.lease_holder IN (${holder}::uuid, ${replaces ?? holder}::uuid)
  )`;
}

/** The epoch after a lease is taken: a higher one, also for whoever has it and asks again since an answer was lost. */
export function epochAfter({ holder }: LeaseTaker) {
  return sql<number>`nodes.epoch + ${holder === undefined ? 0 : 1}`;
}

/** When a lease ends that is taken or renewed now. */
export function leaseEnd(leaseMs: number) {
  return sql<Date>`now() + ${leaseMs} * interval '1 millisecond'`;
}

/**
 * Renews a node's lease.
 *
 * @returns whether the process has it still: not when another one has taken it, or when it had ended. Then it has to be
 * taken anew.
 */
export async function renewLease(
  db: Database,
  { nodeId, epoch, leaseMs }: LeaseClaim & { readonly leaseMs: number },
): Promise<boolean> {
  const renewed = await db
    .updateTable('nodes')
    .set({ lease_expires_at: leaseEnd(leaseMs), last_seen_at: sql<Date>`now()` })
    .where('id', '=', nodeId)
    .where(isHeldUnder(epoch))
    .returning('id')
    .executeTakeFirst();
  return renewed !== undefined;
}

/** Whether a process has its node's lease at this moment. */
export async function holdsLease(db: Database, { nodeId, epoch }: LeaseClaim): Promise<boolean> {
  const held = await db
    .selectFrom('nodes')
    .select('id')
    .where('id', '=', nodeId)
    .where(isHeldUnder(epoch))
    .executeTakeFirst();
  return held !== undefined;
}

/** Ends the lease of a process that ends in good order, so that the next one need not wait. Nothing when it is another's. */
export async function releaseLease(db: Database, { nodeId, epoch }: LeaseClaim): Promise<void> {
  await db
    .updateTable('nodes')
    .set({ lease_expires_at: sql<Date>`now()` })
    .where('id', '=', nodeId)
    .where(isHeldUnder(epoch))
    .execute();
}

/**
 * Makes sure that a node's process has the lease, and lets nobody take it before the transaction has ended: what a
 * process of a node writes is written under this.
 *
 * Locks deployments first where both are locked, as placement does.
 *
 * @throws NODE_LEASE_LOST (retryable)
 */
export async function requireLease(tx: DatabaseTransaction, { nodeId, epoch }: LeaseClaim): Promise<void> {
  const held = await tx
    .selectFrom('nodes')
    .select('id')
    .where('id', '=', nodeId)
    .where(isHeldUnder(epoch))
    .forShare()
    .executeTakeFirst();
  if (!held) throw leaseLost(`node ${nodeId}`);
}

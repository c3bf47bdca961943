import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { useTestDatabase } from '../../test/support/database.ts';
import { holdsLease, releaseLease, renewLease, requireLease } from './node-leases.ts';
import { enrolNode, findNode } from './nodes.ts';

const database = useTestDatabase();

function aNode(nodeId = `node-${randomUUID().slice(0, 8)}`) {
  return {
    ...{ nodeId, hostname: 'host', cpuCores: 4, memoryBytes: 1024 ** 3, dockerVersion: '28', architecture: 'amd64' },
    ...{ address: '10.0.0.1', gatewayUrl: 'http://10.0.0.1:1', streamerUrl: 'http://10.0.0.1:2', labels: {} },
    signingJwk: { kty: 'EC', x: nodeId, y: 'signing' },
    encryptionJwk: { kty: 'EC', x: nodeId, y: 'encryption' },
    leaseMs: 60_000,
  };
}

/** Lets a lease run out as the database sees it, without waiting. */
async function expire(nodeId: string): Promise<void> {
  const past = sql<Date>`now() - interval '1 millisecond'`;
  await database.db.updateTable('nodes').set({ lease_expires_at: past }).where('id', '=', nodeId).execute();
}

const lost = expect.objectContaining({ code: 'NODE_LEASE_LOST' });

describe('the lease of a node', () => {
  it('is taken at enrolment under a rising epoch, and by another process only when it has ended', async () => {
    const node = aNode();
    const [first, second] = [randomUUID(), randomUUID()];
    expect(await enrolNode(database.db, { ...node, holder: first })).toEqual({ epoch: 1 });
    const refused = enrolNode(database.db, { ...node, holder: second });
    await expect(refused).rejects.toThrow(/another process has its lease for (59|60) s more/);
    await expire(node.nodeId);
    expect(await enrolNode(database.db, { ...node, holder: second })).toEqual({ epoch: 2 });
    await expect(enrolNode(database.db, { ...node, holder: first })).rejects.toEqual(lost);
  });

  it('is taken at once from a process that gave it back, or that is known to be gone', async () => {
    const node = aNode();
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()];
    await enrolNode(database.db, { ...node, holder: first });
    const other = enrolNode(database.db, { ...node, holder: second, replaces: third });
    await expect(other).rejects.toEqual(lost);
    expect(await enrolNode(database.db, { ...node, holder: second, replaces: first })).toEqual({ epoch: 2 });
    await releaseLease(database.db, { nodeId: node.nodeId, epoch: 1 });
    await expect(enrolNode(database.db, { ...node, holder: third })).rejects.toEqual(lost);
    await releaseLease(database.db, { nodeId: node.nodeId, epoch: 2 });
    expect(await enrolNode(database.db, { ...node, holder: third })).toEqual({ epoch: 3 });
  });

  it('is taken anew by whoever asks again, since the answer may have been lost', async () => {
    const node = { ...aNode(), holder: randomUUID() };
    await enrolNode(database.db, node);
    expect(await enrolNode(database.db, node)).toEqual({ epoch: 2 });
    expect(await holdsLease(database.db, { nodeId: node.nodeId, epoch: 1 })).toBe(false);
  });

  it('goes to one of many processes that ask at the same time', async () => {
    const node = aNode();
    const takers = Array.from({ length: 8 }, () => enrolNode(database.db, { ...node, holder: randomUUID() }));
    const outcomes = await Promise.allSettled(takers);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(outcomes.filter((one) => one.status === 'rejected' && one.reason.code === 'NODE_LEASE_LOST')).toHaveLength(
      7,
    );
  });

  it('is renewed by its own epoch only, and not once it has ended', async () => {
    const node = { ...aNode(), holder: randomUUID(), leaseMs: 30_000 };
    const { nodeId } = node;
    const { epoch } = await enrolNode(database.db, node);
    const before = await findNode(database.db, nodeId);
    expect(await renewLease(database.db, { nodeId, epoch, leaseMs: 60_000 })).toBe(true);
    const after = await findNode(database.db, nodeId);
    expect(after?.leaseExpiresAt.getTime()).toBeGreaterThan(before?.leaseExpiresAt.getTime() ?? 0);
    expect(await renewLease(database.db, { nodeId, epoch: epoch + 1, leaseMs: 1 })).toBe(false);
    expect(await renewLease(database.db, { nodeId: 'node-unknown', epoch, leaseMs: 1 })).toBe(false);
    await expire(nodeId);
    expect(await renewLease(database.db, { nodeId, epoch, leaseMs: 60_000 })).toBe(false);
    expect(await holdsLease(database.db, { nodeId, epoch })).toBe(false);
  });

  it('ends by the clock of the database, whatever zone or time a session believes in', async () => {
    const node = { ...aNode(), holder: randomUUID() };
    const { epoch } = await enrolNode(database.db, node);
    const before = await findNode(database.db, node.nodeId);
    await database.db.connection().execute(async (one) => {
      await sql`SET TIME ZONE 'Pacific/Kiritimati'`.execute(one);
      expect(await renewLease(one, { nodeId: node.nodeId, epoch, leaseMs: 60_000 })).toBe(true);
      await sql`RESET TIME ZONE`.execute(one);
    });
    const after = await findNode(database.db, node.nodeId);
    expect((after?.leaseExpiresAt.getTime() ?? 0) - (before?.leaseExpiresAt.getTime() ?? 0)).toBeLessThan(10_000);
  });

  it('is not taken while something is written under it, and nothing is written under an older one', async () => {
    const node = { ...aNode(), holder: randomUUID() };
    const { nodeId } = node;
    const claim = { nodeId, ...(await enrolNode(database.db, node)) };
    const order: string[] = [];
    const [written, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const writing = database.db.transaction().execute(async (tx) => {
      await requireLease(tx, claim);
      written.resolve();
      await mayEnd.promise;
      order.push('written');
    });
    await written.promise;
    const taking = enrolNode(database.db, node).then(() => order.push('taken'));
    await waitsForLock();
    mayEnd.resolve();
    await Promise.all([writing, taking]);
    expect(order).toEqual(['written', 'taken']);
    const late = database.db.transaction().execute((tx) => requireLease(tx, claim));
    await expect(late).rejects.toEqual(lost);
  });

  it('is no matter for a node of before leases had holders, until it has one', async () => {
    const node = aNode();
    const old = { nodeId: node.nodeId, epoch: 0 };
    expect(await enrolNode(database.db, node)).toEqual({ epoch: 0 });
    await expire(node.nodeId);
    expect(await renewLease(database.db, { ...old, leaseMs: 60_000 })).toBe(true);
    expect(await enrolNode(database.db, { ...node, holder: randomUUID() })).toEqual({ epoch: 1 });
    expect(await renewLease(database.db, { ...old, leaseMs: 60_000 })).toBe(false);
    await expect(enrolNode(database.db, node)).rejects.toEqual(lost);
  });
});

/** Returns once another session of this database waits for a lock. */
async function waitsForLock(): Promise<void> {
  const waiting = sql<{ n: number }>`
    SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
  `;
  for (;;) {
    const { rows } = await waiting.execute(database.db);
    if ((rows[0]?.n ?? 0) > 0) return;
  }
}

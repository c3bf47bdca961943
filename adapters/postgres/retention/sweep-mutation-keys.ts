import { sql } from 'kysely';
import { RETENTION_KINDS } from '../../../contracts/retention.ts';
import type { DatabaseTransaction } from '../database.ts';
import { measureOf, type Pass } from './pass.ts';
import type { Sweep } from './sweeps.ts';

/** Keys that one statement removes. */
const PAGE = 1_000;

/** Idempotency keys of mutations outside of deployments: after their time, the same key is a new request. */
export const mutationKeys: Sweep = {
  name: 'mutation-keys',
  sweepPage: async (pass) => {
    const removed = await pass.step(async (tx, count) => {
      const measure = pass.isDryRun ? await measureAll(tx, pass) : await removeSome(tx, pass);
      count(RETENTION_KINDS.idempotencyKeys, measure);
      return measure.count;
    });
    return pass.isDryRun || removed < PAGE ? null : 'on';
  },
};

async function measureAll(tx: DatabaseTransaction, pass: Pass) {
  return await tx
    .selectFrom('mutation_keys')
    .select(measureOf('mutation_keys'))
    .where(isOld(pass))
    .executeTakeFirstOrThrow();
}

async function removeSome(tx: DatabaseTransaction, pass: Pass) {
  const oldest = tx
    .selectFrom('mutation_keys as oldest')
    .select(['oldest.scope', 'oldest.key'])
    .where(isOld(pass))
    .orderBy('created_at')
    .limit(PAGE);
  const removed = await tx
    .deleteFrom('mutation_keys')
    .where((eb) => eb(eb.refTuple('scope', 'key'), 'in', oldest.$asTuple('scope', 'key')))
    .returning(sql<number>`pg_column_size(mutation_keys.*)`.as('bytes'))
    .execute();
  return { count: removed.length, bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function isOld({ policy }: Pass) {
  return sql<boolean>`created_at < now() - ${policy.mutationKeysMs} * interval '1 millisecond'`;
}

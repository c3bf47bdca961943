import { sql } from 'kysely';
import { RETENTION_KINDS } from '../../../contracts/retention.ts';
import type { DatabaseTransaction } from '../database.ts';
import { type ContextKey, findNamedContexts, isIdle } from './needed-contexts.ts';
import type { Count, Pass } from './pass.ts';
import type { Sweep } from './sweeps.ts';

/** Records of one page. */
const PAGE = 200;

interface ContextRow extends ContextKey {
  readonly bytes: number;
}

/**
 * Records of uploaded contexts that no revision names and nobody has asked for of late. Without its record a context is
 * unknown to its organization, which uploads it again; the file goes after that.
 *
 * A deploy that names one renews it before its revision is stored. The removal looks at that once more, so of the two
 * one comes first: either the record is renewed and stays, or the deploy is told that there is no such context.
 */
export const contextRecords: Sweep = {
  name: 'context-records',
  sweepPage: async (pass, after) => {
    const page = await pass.step((tx) => listIdle(tx, pass, after));
    const named = await findNamedContexts(pass.db, pass, page);
    const goes = page.filter(({ organizationId, sha256 }) => !named.has(`${organizationId} ${sha256}`));
    await pass.step((tx, count) => remove(tx, pass, goes, count));
    const last = page.at(-1);
    return page.length < PAGE || !last ? null : `${last.organizationId} ${last.sha256}`;
  },
};

async function listIdle(tx: DatabaseTransaction, pass: Pass, after: string): Promise<ContextRow[]> {
  const [organizationId = '', sha256 = ''] = after.split(' ');
  return await tx
    .selectFrom('build_contexts')
    .select(['organization_id as organizationId', 'sha256', sql<number>`pg_column_size(build_contexts.*)`.as('bytes')])
    .where(isIdle(pass))
    .$if(after !== '', (query) =>
      query.where(sql<boolean>`(organization_id, sha256) > (${organizationId || null}::uuid, ${sha256})`),
    )
    .orderBy('organization_id')
    .orderBy('sha256')
    .limit(PAGE)
    .execute();
}

async function remove(tx: DatabaseTransaction, pass: Pass, goes: readonly ContextRow[], count: Count): Promise<void> {
  const removed = pass.isDryRun ? goes : await removeIdle(tx, pass, goes);
  const bytes = removed.reduce((sum, row) => sum + row.bytes, 0);
  count(RETENTION_KINDS.contextRecords, { count: removed.length, bytes });
}

async function removeIdle(tx: DatabaseTransaction, pass: Pass, goes: readonly ContextRow[]) {
  const organizations = goes.map(({ organizationId }) => organizationId);
  const hashes = goes.map(({ sha256 }) => sha256);
  return await tx
    .deleteFrom('build_contexts')
    .where(
      sql<boolean>`(organization_id, sha256) IN (SELECT * FROM unnest(${organizations}::uuid[], ${hashes}::text[]))`,
    )
    .where(isIdle(pass))
    .returning(sql<number>`pg_column_size(build_contexts.*)`.as('bytes'))
    .execute();
}

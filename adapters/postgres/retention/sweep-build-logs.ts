import { sql } from 'kysely';
import { RETENTION_KINDS } from '../../../contracts/retention.ts';
import { isOf } from '../build-logs.ts';
import type { DatabaseTransaction } from '../database.ts';
import { type Measure, measureOf, type Pass } from './pass.ts';
import type { Sweep } from './sweeps.ts';

/** Builds whose logs one transaction removes: each has up to 10 MiB. */
const PAGE = 20;

/** What a reader of a removed log is told in its place. */
const REMOVED = 'the log was removed: it is kept for a time after its build';

/** What builds have printed, some time after their end. That they were, and how they ended, stays with their revision. */
export const buildLogs: Sweep = {
  name: 'build-logs',
  sweepPage: async (pass) => {
    const removed = await pass.step(async (tx, count) => {
      const measure = pass.isDryRun ? await measureAll(tx, pass) : await removeSome(tx, pass);
      count(RETENTION_KINDS.buildLogs, measure);
      return measure.count;
    });
    return pass.isDryRun || removed < PAGE ? null : 'on';
  },
};

/** Builds that ended long ago and whose log is still there. */
function selectOld(tx: DatabaseTransaction, { policy }: Pass) {
  return tx
    .selectFrom('builds')
    .innerJoin('build_logs', (join) =>
      join
        .onRef('build_logs.deployment_id', '=', 'builds.deployment_id')
        .onRef('build_logs.revision', '=', 'builds.revision')
        .onRef('build_logs.service', '=', 'builds.service'),
    )
    .select(['builds.deployment_id', 'builds.revision', 'builds.service'])
    .where(sql<boolean>`builds.finished_at < now() - ${policy.buildLogsMs} * interval '1 millisecond'`)
    .where(sql<boolean>`build_logs.head_lines + build_logs.tail_lines > 0`);
}

async function measureAll(tx: DatabaseTransaction, pass: Pass): Promise<Measure> {
  const { count } = await tx
    .selectFrom(selectOld(tx, pass).as('old'))
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  const { bytes } = await tx
    .selectFrom('build_log_chunks')
    .select(measureOf('build_log_chunks'))
    .where((eb) => {
      const old = selectOld(tx, pass).$asTuple('deployment_id', 'revision', 'service');
      return eb(eb.refTuple('deployment_id', 'revision', 'service'), 'in', old);
    })
    .executeTakeFirstOrThrow();
  return { count, bytes };
}

async function removeSome(tx: DatabaseTransaction, pass: Pass): Promise<Measure> {
  const builds = await selectOld(tx, pass)
    .orderBy('builds.finished_at')
    .limit(PAGE)
    .forUpdate('build_logs')
    .skipLocked()
    .execute();
  let bytes = 0;
  for (const build of builds) bytes += await removeLog(tx, build);
  return { count: builds.length, bytes };
}

/** Leaves a remark in place of the last line. @returns the bytes that PostgreSQL had for the log */
async function removeLog(tx: DatabaseTransaction, build: Parameters<typeof isOf>[0]): Promise<number> {
  const removed = await tx
    .deleteFrom('build_log_chunks')
    .where(isOf(build))
    .returning(sql<number>`pg_column_size(build_log_chunks.*)`.as('bytes'))
    .execute();
  const counts = { head_bytes: 0, head_lines: 0, tail_bytes: 0, tail_lines: 0 };
  const { last_number: last } = await tx
    .updateTable('build_logs')
    .set(counts)
    .where(isOf(build))
    .returning('last_number')
    .executeTakeFirstOrThrow();
  await tx
    .insertInto('build_log_chunks')
    .values({
      ...{ ...build, first_number: last, last_number: last, is_head: true, size_bytes: Buffer.byteLength(REMOVED) },
      lines: JSON.stringify([[Date.now(), REMOVED, 1]]),
    })
    .execute();
  return removed.reduce((sum, row) => sum + row.bytes, 0);
}

import { sql } from 'kysely';
import { RETENTION_KINDS } from '../../../contracts/retention.ts';
import type { BuildKey } from '../build-logs.ts';
import type { DatabaseTransaction } from '../database.ts';
import { addMeasures, type Measure, measureOf, type Pass } from './pass.ts';
import type { Sweep } from './sweeps.ts';

/** Builds whose logs one transaction removes: each has up to 10 MiB. */
const PAGE = 20;

/** What a reader of a removed log is told in its place. */
const REMOVED = 'the log was removed: it is kept for a time after its build';

/** What builds have printed, some time after their end. That they were, and how they ended, stays with their revision. */
export const buildLogs: Sweep = {
  name: 'build-logs',
  sweepPage: async (pass) => {
    const found = await pass.step(async (tx, count) => {
      const builds = await findOld(tx, pass);
      let measure: Measure = { count: 0, bytes: 0 };
      for (const build of builds) measure = addMeasures(measure, await measureLog(tx, build));
      count(RETENTION_KINDS.buildLogs, { ...measure, count: builds.length });
      if (!pass.isDryRun) for (const build of builds) await removeLog(tx, build);
      return builds.length;
    });
    return pass.isDryRun || found < PAGE ? null : 'on';
  },
};

/** Builds that ended long ago and whose log is still there. Of a dry run all of them, else a page, which is held. */
async function findOld(tx: DatabaseTransaction, { policy, isDryRun }: Pass): Promise<readonly BuildKey[]> {
  const old = tx
    .selectFrom('builds')
    .innerJoin('build_logs', (join) =>
      join
        .onRef('build_logs.deployment_id', '=', 'builds.deployment_id')
        .onRef('build_logs.revision', '=', 'builds.revision')
        .onRef('build_logs.service', '=', 'builds.service'),
    )
    .select(['builds.deployment_id as deploymentId', 'builds.revision', 'builds.service'])
    .where(sql<boolean>`builds.finished_at < now() - ${policy.buildLogsMs} * interval '1 millisecond'`)
    .where(sql<boolean>`build_logs.head_lines + build_logs.tail_lines > 0`)
    .orderBy('builds.finished_at');
  return await (isDryRun ? old : old.limit(PAGE).forUpdate('build_logs').skipLocked()).execute();
}

async function measureLog(tx: DatabaseTransaction, build: BuildKey): Promise<Measure> {
  return await tx
    .selectFrom('build_log_chunks')
    .select(measureOf('build_log_chunks'))
    .where(isOf(build))
    .executeTakeFirstOrThrow();
}

/** Leaves a remark in place of the last line. */
async function removeLog(tx: DatabaseTransaction, build: BuildKey): Promise<void> {
  await tx.deleteFrom('build_log_chunks').where(isOf(build)).execute();
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
      ...{ deployment_id: build.deploymentId, revision: build.revision, service: build.service },
      ...{ first_number: last, last_number: last, is_head: true, size_bytes: Buffer.byteLength(REMOVED) },
      lines: JSON.stringify([[Date.now(), REMOVED, 1]]),
    })
    .execute();
}

function isOf({ deploymentId, revision, service }: BuildKey) {
  return sql<boolean>`(deployment_id, revision, service) = (${deploymentId}::uuid, ${revision}, ${service})`;
}

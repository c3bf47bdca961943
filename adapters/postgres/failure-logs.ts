import { sql } from 'kysely';
import { notFound } from '../../domain/errors.ts';
import { KEPT_FAILURE_LOG } from '../../domain/failure-log.ts';
import type { Database } from './database.ts';
import { toStorableText } from './events.ts';
import { type LeaseClaim, requireLease } from './node-leases.ts';
import type { StoredFailureLine } from './schema-builds.ts';

/** A line that a replica printed. */
export interface FailureLine {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** What a node tells of a replica that it gave up. */
export interface FailureReport extends LeaseClaim {
  readonly deploymentId: string;
  readonly replicaId: string;
  readonly lines: readonly FailureLine[];
  /** Whether there were lines before these. */
  readonly shortened: boolean;
}

/** The log of a replica that was given up. */
export interface FailureLogRecord extends Omit<FailureReport, keyof LeaseClaim | 'deploymentId'> {
  readonly operationId: string;
  readonly service: string;
  readonly revision: number;
  readonly failedAt: Date;
}

/** Longest text of a line that is kept, characters: what Docker gives as one. */
const LONGEST_LINE = 16 * 1024;

/**
 * Keeps what a replica had printed when it was given up, in place of what an earlier attempt told of it; the oldest of
 * the deployment's go. Only the node that runs the replica is heard.
 *
 * @throws NOT_FOUND for a replica that is not there, or is another node's.
 */
export async function keepFailureLog(db: Database, report: FailureReport): Promise<void> {
  const { deploymentId, replicaId, nodeId, shortened } = report;
  const lines = report.lines.map(
    ({ atMs, stream, text }): StoredFailureLine => [
      atMs,
      stream === 'stderr' ? 1 : 0,
      toStorableText(text, LONGEST_LINE),
    ],
  );
  await db.transaction().execute(async (tx) => {
    const replica = await tx
      .selectFrom('replicas')
      .select(['operation_id', 'service', 'revision'])
      .where('deployment_id', '=', deploymentId)
      .where('replica_id', '=', replicaId)
      .where('node_id', '=', nodeId)
      .executeTakeFirst();
    if (!replica?.operation_id) throw notFound('replica');
    await requireLease(tx, report);
    const { operation_id, service, revision } = replica;
    const log = { shortened, lines: JSON.stringify(lines) };
    await tx
      .insertInto('failure_logs')
      .values({ deployment_id: deploymentId, operation_id, replica_id: replicaId, service, revision, ...log })
      .onConflict((conflict) =>
        conflict.columns(['operation_id', 'replica_id']).doUpdateSet({ ...log, failed_at: sql<Date>`now()` }),
      )
      .execute();
    const kept = tx
      .selectFrom('failure_logs')
      .select(['operation_id', 'replica_id'])
      .where('deployment_id', '=', deploymentId)
      .orderBy('failed_at', 'desc')
      .orderBy('replica_id')
      .limit(KEPT_FAILURE_LOG.perDeployment);
    await tx
      .deleteFrom('failure_logs')
      .where('deployment_id', '=', deploymentId)
      .where((eb) =>
        eb.not(eb(eb.refTuple('operation_id', 'replica_id'), 'in', kept.$asTuple('operation_id', 'replica_id'))),
      )
      .execute();
  });
}

/** Lists the logs that are kept of a deployment's failures, newest first. */
export async function listFailureLogs(db: Database, deploymentId: string): Promise<FailureLogRecord[]> {
  const rows = await db
    .selectFrom('failure_logs')
    .select(['operation_id as operationId', 'replica_id as replicaId', 'service', 'revision'])
    .select(['failed_at as failedAt', 'shortened', 'lines'])
    .where('deployment_id', '=', deploymentId)
    .orderBy('failed_at', 'desc')
    .orderBy('replica_id')
    .execute();
  return rows.map(({ lines, ...row }) => ({
    ...row,
    lines: lines.map(([atMs, isError, text]) => ({ atMs, stream: isError === 1 ? 'stderr' : 'stdout', text })),
  }));
}

import { notFound } from '../../domain/errors.ts';
import { appendLines, type BuildKey, type LogRow } from './build-logs.ts';
import { nameOf } from './builds.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { lockExisting } from './deployment-lock.ts';
import { type NewEvent, recordEvents } from './events.ts';
import { type LeaseClaim, requireLease } from './node-leases.ts';
import type { BuildState, StoredLogLine } from './schema-builds.ts';

/** What a node tells of a build. */
export interface BuildReport extends BuildKey, LeaseClaim {
  /** Orders the attempts: when this one was scheduled, milliseconds since 1970. */
  readonly attempt: number;
  readonly phase: 'waiting' | 'building';
  /** Number of the first line within the attempt, from 1. */
  readonly firstNumber: number;
  readonly lines: readonly { readonly atMs: number; readonly text: string }[];
  /** Whether the attempt prints nothing more. */
  readonly complete: boolean;
}

interface Build {
  readonly state: BuildState;
  readonly operationId: string;
}

/**
 * Stores how a build goes and what it printed. Only the node that builds is heard.
 *
 * A report that arrives twice adds nothing: lines are told apart by attempt and number. A new attempt goes on in the
 * same log, behind a remark that says so; what an earlier one still has to say is not wanted any more. The last lines
 * may come after the end.
 *
 * @returns whether the report counts: `false` from an attempt after which another one has begun.
 * @throws NOT_FOUND for a build that is not there, or is another node's.
 */
export async function reportBuild(db: Database, report: BuildReport): Promise<boolean> {
  return await db.transaction().execute(async (tx) => {
    const seen = await findBuild(tx, report);
    const deployment = isNews(seen, report) ? await lockExisting(tx, report.deploymentId) : undefined;
    await requireLease(tx, report);
    const { build, log } = await findBuild(tx, report, { locked: true });
    if (log && report.attempt < log.attempt) return false;
    const isOver = build.state !== 'waiting' && build.state !== 'building';
    if (deployment && !isOver) {
      await recordEvents(tx, deployment, eventsOf({ build, log }, report));
      await setState(tx, report);
    }
    await writeLog(tx, log, report);
    return true;
  });
}

async function findBuild(
  tx: DatabaseTransaction,
  { deploymentId, revision, service, nodeId }: BuildReport,
  { locked = false } = {},
): Promise<{ readonly build: Build; readonly log: LogRow | undefined }> {
  const build = await tx
    .selectFrom('builds')
    .select(['state', 'operation_id as operationId'])
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .where('service', '=', service)
    .where('node_id', '=', nodeId)
    .$if(locked, (query) => query.forNoKeyUpdate())
    .executeTakeFirst();
  if (!build) throw notFound('build');
  const log = await tx
    .selectFrom('build_logs')
    .selectAll()
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .where('service', '=', service)
    .executeTakeFirst();
  return { build, log };
}

function isNews({ build, log }: { build: Build; log: LogRow | undefined }, report: BuildReport): boolean {
  return log === undefined || report.attempt > log.attempt || build.state !== report.phase;
}

function eventsOf(
  { build, log }: { build: Build; log: LogRow | undefined },
  { service, phase, attempt, nodeId }: BuildReport,
): NewEvent[] {
  const { operationId } = build;
  const isNewAttempt = log !== undefined && attempt > log.attempt;
  if (phase === 'waiting') {
    const forWhat = nameOf(service) === '' ? '' : ` for the image${nameOf(service)}`;
    const message = `waiting for a build slot on ${nodeId}${forWhat}`;
    return [{ kind: 'build.waiting', message, operationId }];
  }
  if (log && !isNewAttempt && build.state === 'building') return [];
  const again = isNewAttempt ? ` again, attempt ${log.attempts + 1}` : '';
  return [{ kind: 'build.started', message: `building the image${nameOf(service)} on ${nodeId}${again}`, operationId }];
}

async function setState(tx: DatabaseTransaction, { deploymentId, revision, service, phase }: BuildReport) {
  await tx
    .updateTable('builds')
    .set({ state: phase })
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .where('service', '=', service)
    .execute();
}

async function writeLog(tx: DatabaseTransaction, known: LogRow | undefined, report: BuildReport): Promise<void> {
  const begun = known ? await takeOver(tx, known, report) : newLog(report);
  if (!known) {
    const { deployment_id, revision, service, attempt } = begun;
    await tx.insertInto('build_logs').values({ deployment_id, revision, service, attempt }).execute();
  }
  const stored = begun.last_number - begun.base_number;
  const repeated = Math.max(0, stored + 1 - report.firstNumber);
  const lines = report.lines.slice(repeated).map(({ atMs, text }): StoredLogLine => [atMs, text]);
  const firstNumber = begun.base_number + report.firstNumber + repeated;
  const log = await appendLines(tx, begun, { firstNumber, lines });
  if (log === known && log.complete === report.complete) return;
  const { deployment_id, revision, service, ...stand } = log;
  await tx
    .updateTable('build_logs')
    .set({ ...stand, complete: report.complete })
    .where('deployment_id', '=', deployment_id)
    .where('revision', '=', revision)
    .where('service', '=', service)
    .execute();
}

function newLog({ deploymentId, revision, service, attempt }: BuildReport): LogRow {
  const nothing = { base_number: 0, last_number: 0, head_bytes: 0, head_lines: 0, tail_bytes: 0, tail_lines: 0 };
  return { deployment_id: deploymentId, revision, service, attempt, attempts: 1, ...nothing, complete: false };
}

/** A later attempt goes on behind a remark, unless the earlier one had printed nothing. */
async function takeOver(tx: DatabaseTransaction, known: LogRow, { attempt }: BuildReport): Promise<LogRow> {
  if (attempt === known.attempt) return known;
  const log = { ...known, attempt, attempts: known.attempts + 1, base_number: known.last_number };
  if (known.last_number === 0) return log;
  const remark = `the build was interrupted and begins again: attempt ${log.attempts}`;
  const firstNumber = known.last_number + 1;
  const marked = await appendLines(tx, log, { firstNumber, lines: [[Date.now(), remark, 1]] });
  return { ...marked, base_number: marked.last_number };
}

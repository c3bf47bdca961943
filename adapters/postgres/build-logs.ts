import type { Insertable, Selectable } from 'kysely';
import { sql } from 'kysely';
import { KEPT_LOG } from '../../domain/build-log.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import type { Schema } from './schema.ts';
import type { StoredLogLine } from './schema-builds.ts';

/** Which build. */
export interface BuildKey {
  readonly deploymentId: string;
  readonly revision: number;
  readonly service: string;
}

/** How the log of a build stands. */
export type LogRow = Selectable<Schema['build_logs']>;

/** A tail that is too long is cut to this share of what may be kept, so that not every report has to cut it. */
const TRIMMED_SHARE = 0.9;

/**
 * Adds lines to a log whose row the transaction holds, and answers with how it stands then: the row is the caller's to
 * write. What does not fit goes from the oldest of the tail; the head stays.
 *
 * @param lines of which the first gets this number, higher than all before it.
 */
export async function appendLines(
  tx: DatabaseTransaction,
  log: LogRow,
  { firstNumber, lines }: { readonly firstNumber: number; readonly lines: readonly StoredLogLine[] },
): Promise<LogRow> {
  if (lines.length === 0) return log;
  const size = lines.reduce((sum, [, text]) => sum + Buffer.byteLength(text), 0);
  const { head } = KEPT_LOG;
  const fitsHead = log.head_bytes + size <= head.bytes && log.head_lines + lines.length <= head.lines;
  const isHead = log.tail_lines === 0 && fitsHead;
  const last = firstNumber + lines.length - 1;
  const chunk: Insertable<Schema['build_log_chunks']> = {
    ...keyOf(log),
    ...{ first_number: firstNumber, last_number: last, is_head: isHead, size_bytes: size },
    lines: JSON.stringify(lines),
  };
  await tx.insertInto('build_log_chunks').values(chunk).execute();
  const grown = isHead
    ? { ...log, head_bytes: log.head_bytes + size, head_lines: log.head_lines + lines.length }
    : { ...log, tail_bytes: log.tail_bytes + size, tail_lines: log.tail_lines + lines.length };
  return await trimTail(tx, { ...grown, last_number: last });
}

async function trimTail(tx: DatabaseTransaction, log: LogRow): Promise<LogRow> {
  const { bytes, lines } = KEPT_LOG.tail;
  if (log.tail_bytes <= bytes && log.tail_lines <= lines) return log;
  const tail = await tx
    .selectFrom('build_log_chunks')
    .select(['first_number as firstNumber', 'last_number as lastNumber', 'size_bytes as sizeBytes'])
    .where(isOf(keyOf(log)))
    .where('is_head', '=', false)
    .orderBy('first_number')
    .execute();
  let [tailBytes, tailLines, gone] = [log.tail_bytes, log.tail_lines, 0];
  for (const { firstNumber, lastNumber, sizeBytes } of tail.slice(0, -1)) {
    if (tailBytes <= TRIMMED_SHARE * bytes && tailLines <= TRIMMED_SHARE * lines) break;
    tailBytes -= sizeBytes;
    tailLines -= lastNumber - firstNumber + 1;
    gone = lastNumber;
  }
  await tx
    .deleteFrom('build_log_chunks')
    .where(isOf(keyOf(log)))
    .where('is_head', '=', false)
    .where('last_number', '<=', gone)
    .execute();
  return { ...log, tail_bytes: tailBytes, tail_lines: tailLines };
}

function keyOf({ deployment_id, revision, service }: LogRow) {
  return { deployment_id, revision, service };
}

/** Rows of what a build printed. */
export function isOf({ deployment_id, revision, service }: ReturnType<typeof keyOf>) {
  return sql<boolean>`(deployment_id, revision, service) = (${deployment_id}::uuid, ${revision}, ${service})`;
}

/** A build as far as a reader of its log has to know. */
export interface LoggedBuild {
  readonly revision: number;
  readonly service: string;
  readonly isOver: boolean;
  /** Whether all that it printed has arrived, as far as the platform knows. */
  readonly isComplete: boolean;
  /** Time since its end, milliseconds; 0 while it goes on. */
  readonly overForMs: number;
}

/** Finds the builds of a revision, by service; of revision 0 those of the newest one that has any. */
export async function findLoggedBuilds(
  db: Database,
  { deploymentId, revision }: { readonly deploymentId: string; readonly revision: number },
): Promise<readonly LoggedBuild[]> {
  const newest = db
    .selectFrom('builds')
    .select((eb) => eb.fn.max('revision').as('revision'))
    .where('deployment_id', '=', deploymentId);
  const rows = await db
    .selectFrom('builds')
    .leftJoin('build_logs', (join) =>
      join
        .onRef('build_logs.deployment_id', '=', 'builds.deployment_id')
        .onRef('build_logs.revision', '=', 'builds.revision')
        .onRef('build_logs.service', '=', 'builds.service'),
    )
    .select(['builds.revision', 'builds.service', 'builds.finished_at as finishedAt', 'build_logs.complete'])
    .select(sql<number>`coalesce(extract(epoch FROM now() - builds.finished_at) * 1000, 0)::float8`.as('overForMs'))
    .where('builds.deployment_id', '=', deploymentId)
    .where('builds.revision', '=', revision === 0 ? newest : revision)
    .orderBy('builds.service')
    .execute();
  return rows.map(({ finishedAt, complete, ...build }) => {
    return { ...build, isOver: finishedAt !== null, isComplete: complete ?? false };
  });
}

/** A part of a log: lines with consecutive numbers. */
export interface LogChunk {
  readonly firstNumber: number;
  readonly lines: readonly StoredLogLine[];
}

/** Reads the next part of a log after a number; it may begin at or before it. `undefined`: there is no more now. */
export async function readLogChunk(
  db: Database,
  { deploymentId, revision, service, after }: BuildKey & { readonly after: number },
): Promise<LogChunk | undefined> {
  return await db
    .selectFrom('build_log_chunks')
    .select(['first_number as firstNumber', 'lines'])
    .where(isOf({ deployment_id: deploymentId, revision, service }))
    .where('last_number', '>', after)
    .orderBy('first_number')
    .limit(1)
    .executeTakeFirst();
}

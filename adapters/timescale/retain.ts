import { type RawBuilder, sql } from 'kysely';
import type { OwnPeriod } from '../../domain/metrics/retention.ts';
import type { MetricsDatabase } from './metrics-database.ts';

const MINUTE_TABLES = ['container_metrics', 'node_metrics', 'request_metrics'] as const;

/** How far ahead partitions are made: longer than anybody is away. */
const AHEAD = sql`now() + interval '2 days'`;

/** Whose rows go: those older than a moment. */
interface Cutoff {
  readonly before: Date;
  readonly whose: RawBuilder<boolean>;
}

const HOUR_MS = 3_600_000;

/**
 * No row of an older hour is taken any more, so whether it is closed makes no difference; TimescaleDB has packed it by then,
 * and would unpack it to look.
 */
const OPEN_MS = 60 * 24 * HOUR_MS;

/** For how long metrics are kept: everybody's, and what organizations have of their own. */
export interface MetricsPeriods {
  readonly minutesMs: number;
  readonly hoursMs: number;
  readonly own: readonly OwnPeriod[];
}

/** Makes the partitions of the next days on plain PostgreSQL, and finds room in them for what came too early. */
export async function ensurePartitions(db: MetricsDatabase): Promise<void> {
  for (const table of MINUTE_TABLES) {
    await sql`select ensure_metric_partitions(${table}, now() - interval '6 hours', ${AHEAD})`.execute(db);
  }
}

/**
 * Drops partitions or chunks whose rows nobody keeps any more. Hours that lie in them are closed first, and hours that are
 * due keep everything from being dropped until they are summed up.
 *
 * @returns how many partitions or chunks went.
 */
export async function dropOldMinutes(db: MetricsDatabase, periods: MetricsPeriods, nowMs: number): Promise<number> {
  const before = endOfLongest(periods, 'metrics_minutes', nowMs);
  let dropped = 0;
  for (const table of MINUTE_TABLES) {
    dropped += await db.transaction().execute(async (tx) => {
      // Whoever writes has the lock that this one waits for, so nothing becomes due between the look and the drop.
      await sql`lock table ${sql.id(table)} in share row exclusive mode`.execute(tx);
      if (table === 'container_metrics' && !(await closeAll(tx, before, nowMs))) return 0;
      return await dropParts(tx, table, before);
    });
  }
  return dropped;
}

/** @returns whether no hour before the moment is due. */
async function closeAll(tx: MetricsDatabase, before: Date, nowMs: number): Promise<boolean> {
  const { rows } = await sql`select from usage_due where hour < ${before} limit 1`.execute(tx);
  if (rows.length > 0) return false;
  const open = new Date(nowMs - OPEN_MS);
  await sql`update usage_hourly set closed = true where hour >= ${open} and hour < ${before} and not closed`.execute(
    tx,
  );
  return true;
}

async function dropParts(tx: MetricsDatabase, table: string, before: Date): Promise<number> {
  if (await isHypertable(tx, table)) return await dropChunks(tx, table, before);
  await sql`delete from ${sql.id(`${table}_default`)} where minute < ${before}`.execute(tx);
  const parts = await sql<{ name: string }>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = ${table}::regclass and c.relname ~ '_p[0-9]{8}h[0-9]{2}$'
      and to_timestamp(right(c.relname, 11), 'YYYYMMDD"h"HH24')::timestamp at time zone 'UTC' + interval '6 hours' <= ${before}
  `.execute(tx);
  for (const { name } of parts.rows) await sql`drop table ${sql.id(name)}`.execute(tx);
  return parts.rows.length;
}

/** Drops chunks whose hours nobody keeps any more, where hours are in chunks. @returns how many went. */
export async function dropOldHours(db: MetricsDatabase, periods: MetricsPeriods, nowMs: number): Promise<number> {
  if (!(await isHypertable(db, 'usage_hourly'))) return 0;
  return await dropChunks(db, 'usage_hourly', endOfLongest(periods, 'metrics_hours', nowMs));
}

async function isHypertable(db: MetricsDatabase, table: string): Promise<boolean> {
  const { rows } = await sql<{ edition: string }>`select metrics_edition() as edition`.execute(db);
  if (rows[0]?.edition === 'plain') return false;
  const found = await sql`
    select from timescaledb_information.hypertables
    where format('%I.%I', hypertable_schema, hypertable_name)::regclass = ${table}::regclass`.execute(db);
  return found.rows.length > 0;
}

async function dropChunks(db: MetricsDatabase, table: string, before: Date): Promise<number> {
  const { rows } = await sql`select drop_chunks(${table}::regclass, older_than => ${before}::timestamptz)`.execute(db);
  return rows.length;
}

/**
 * Removes minutes that their organization keeps for less time than the longest, and hours that are over everybody's time;
 * rows by rows. A minute goes only from an hour that is closed and not due.
 *
 * @returns how many rows went: fewer than `limit` when no more are to go.
 */
export async function deleteOldRows(
  db: MetricsDatabase,
  periods: MetricsPeriods,
  { nowMs, limit }: { nowMs: number; limit: number },
): Promise<number> {
  let removed = 0;
  for (const { before, whose } of cutoffsOf(periods, 'metrics_minutes', nowMs)) {
    await sql`
      update usage_hourly u set closed = true from metric_series s
      where s.id = u.series_id and ${whose} and u.hour >= ${new Date(nowMs - OPEN_MS)} and u.hour < ${before} and not u.closed
        and not exists (select from usage_due d where d.series_id = u.series_id and d.hour = u.hour)`.execute(db);
    const hour = sql`date_trunc('hour', m.minute, 'UTC')`;
    const { numAffectedRows = 0n } = await sql`
      delete from container_metrics where (series_id, minute) in (
        select m.series_id, m.minute from container_metrics m
        join metric_series s on s.id = m.series_id
        join usage_hourly u on u.series_id = m.series_id and u.hour = ${hour} and u.closed
        where ${whose} and m.minute < ${before}
          and not exists (select from usage_due d where d.series_id = m.series_id and d.hour = ${hour})
        limit ${limit - removed})`.execute(db);
    removed += Number(numAffectedRows);
  }
  for (const cutoff of cutoffsOf(periods, 'metrics_hours', nowMs)) {
    removed += await deleteOldHours(db, cutoff, Math.max(0, limit - removed));
  }
  return removed;
}

/** By series and time, named by themselves: TimescaleDB unpacks what these two leave over, and no more than it has to. */
async function deleteOldHours(db: MetricsDatabase, { before, whose }: Cutoff, limit: number): Promise<number> {
  const { rows } = await sql<{ series_id: number; hour: Date }>`
    select u.series_id, u.hour from usage_hourly u join metric_series s on s.id = u.series_id
    where ${whose} and u.hour < ${before} order by u.series_id, u.hour limit ${limit}`.execute(db);
  if (rows.length === 0) return 0;
  const [series, hours] = [rows.map(({ series_id }) => series_id), rows.map(({ hour }) => hour)];
  const [first, last] = [Math.min, Math.max].map((pick) => new Date(pick(...hours.map((hour) => hour.getTime()))));
  const { numAffectedRows = 0n } = await sql`
    delete from usage_hourly where series_id = any (${[...new Set(series)]}::integer[]) and hour >= ${first} and hour <= ${last}
      and (series_id, hour) in (select * from unnest(${series}::integer[], ${hours}::timestamptz[]))`.execute(db);
  return Number(numAffectedRows);
}

/** Removes series of which nothing is left. Writers wait meanwhile: they hold the lock that this takes. */
export async function deleteEmptySeries(db: MetricsDatabase, limit: number): Promise<number> {
  return await db.transaction().execute(async (tx) => {
    await sql`lock table metric_series in exclusive mode`.execute(tx);
    const holds = ['container_metrics', 'node_metrics', 'request_metrics', 'usage_hourly', 'usage_due'];
    const empty = holds.map((table) => sql`not exists (select from ${sql.id(table)} t where t.series_id = s.id)`);
    const { numAffectedRows = 0n } = await sql`
      delete from metric_series where id in (
        select s.id from metric_series s where s.created_at < now() - interval '1 day' and ${sql.join(empty, sql` and `)}
        limit ${limit})`.execute(tx);
    return Number(numAffectedRows);
  });
}

function ownOf({ own }: MetricsPeriods, kind: OwnPeriod['kind']): readonly OwnPeriod[] {
  return own.filter((period) => period.kind === kind && period.deploymentIds.length > 0);
}

/** Before this nobody keeps any. */
function endOfLongest(periods: MetricsPeriods, kind: OwnPeriod['kind'], nowMs: number): Date {
  const everybodys = kind === 'metrics_minutes' ? periods.minutesMs : periods.hoursMs;
  const longest = Math.max(everybodys, ...ownOf(periods, kind).map(({ keepHours }) => keepHours * HOUR_MS));
  return new Date(Math.floor((nowMs - longest) / HOUR_MS) * HOUR_MS);
}

/** For each period whose rows it is for. Whole hours, so that an hour's minutes go together. */
function cutoffsOf(periods: MetricsPeriods, kind: OwnPeriod['kind'], nowMs: number): readonly Cutoff[] {
  const before = (keptMs: number): Date => new Date(Math.floor((nowMs - keptMs) / HOUR_MS) * HOUR_MS);
  const own = ownOf(periods, kind);
  const others = own.flatMap(({ deploymentIds }) => deploymentIds);
  const everybodys = kind === 'metrics_minutes' ? periods.minutesMs : periods.hoursMs;
  return [
    { before: before(everybodys), whose: sql<boolean>`not (s.deployment_id = any (${others}::uuid[]))` },
    ...own.map(({ keepHours, deploymentIds }) => ({
      before: before(keepHours * HOUR_MS),
      whose: sql<boolean>`s.deployment_id = any (${deploymentIds}::uuid[])`,
    })),
  ];
}

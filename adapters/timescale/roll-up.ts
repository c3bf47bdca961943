import { type RawBuilder, sql } from 'kysely';
import type { MetricsDatabase } from './metrics-database.ts';

/** Columns that add up, within an hour and over replicas. */
const SUMS = [
  ...['cpu_nanos', 'cpu_user_nanos', 'cpu_system_nanos', 'cpu_throttled_nanos'],
  ...['network_receive_bytes', 'network_transmit_bytes', 'network_receive_packets', 'network_transmit_packets'],
  ...['disk_read_bytes', 'disk_write_bytes', 'disk_read_operations', 'disk_write_operations', 'oom_kills'],
  ...['observed_ms', 'samples'],
];
/** Columns of which the largest stands for the hour. */
const LARGEST = ['memory_max_bytes', 'memory_limit_bytes', 'page_cache_bytes', 'pids_max'];

const list = (parts: readonly RawBuilder<unknown>[]) => sql.join(parts, sql`, `);
const columns = (names: readonly string[]) => list(names.map((name) => sql.id(name)));

const NAMES = [...SUMS, ...LARGEST, 'memory_byte_millis', 'minute_bits'];
const VALUES = list([
  ...SUMS.map((name) => sql`sum(m.${sql.id(name)})`),
  ...LARGEST.map((name) => sql`max(m.${sql.id(name)})`),
  sql`sum(m.memory_average_bytes::numeric * m.observed_ms)`,
  sql`bit_or(${bitOf()})`,
]);

/** The bit of a row's minute within its hour. */
function bitOf(): RawBuilder<string> {
  return sql`(1::bigint << extract(minute from m.minute at time zone 'UTC')::integer)`;
}

/**
 * Sums up hours of which rows have come since they were summed up last, the oldest first.
 *
 * All in one transaction: killed at any point it leaves the hours due. An hour whose minutes are all there is summed anew,
 * so that running it twice is harmless; to one that retention has closed only minutes are added that are not in it yet.
 * Hours that a writer has in hand are left to the next time.
 *
 * @returns how many hours were summed up: fewer than `limit` when nothing else is due.
 */
export async function rollUpHours(db: MetricsDatabase, limit: number): Promise<number> {
  return await db.transaction().execute(async (tx) => {
    const { rows: due } = await sql<{ series_id: number; hour: Date }>`
      delete from usage_due where (series_id, hour) in (
        select series_id, hour from usage_due order by hour, series_id limit ${limit} for update skip locked
      ) returning series_id, hour`.execute(tx);
    if (due.length === 0) return 0;
    // Rows that came before the hour was taken are seen from here on.
    const hours = sql`unnest(${due.map(({ series_id }) => series_id)}::integer[], ${due.map(({ hour }) => hour)}::timestamptz[])
      as h (series_id, hour)`;
    // Without a moment TimescaleDB would unpack all hours that it has packed, to look for these among them.
    const oldest = new Date(Math.min(...due.map(({ hour }) => hour.getTime())));
    const minutes = sql`container_metrics m on m.series_id = h.series_id
      and m.minute >= h.hour and m.minute < h.hour + interval '1 hour'`;
    await sql`
      update usage_hourly u set
        ${list([...SUMS, 'memory_byte_millis'].map((name) => sql`${sql.id(name)} = u.${sql.id(name)} + late.${sql.id(name)}`))},
        ${list(LARGEST.map((name) => sql`${sql.id(name)} = greatest(u.${sql.id(name)}, late.${sql.id(name)})`))},
        minute_bits = u.minute_bits | late.minute_bits
      from (
        select h.series_id, h.hour, ${VALUES} from ${hours} join ${minutes}
        join usage_hourly c on c.series_id = h.series_id and c.hour = h.hour and c.closed
        where c.minute_bits & ${bitOf()} = 0
        group by h.series_id, h.hour
      ) as late (series_id, hour, ${columns(NAMES)})
      where u.series_id = late.series_id and u.hour = late.hour and u.hour >= ${oldest}`.execute(tx);
    await sql`
      insert into usage_hourly (series_id, hour, ${columns(NAMES)})
      select h.series_id, h.hour, ${VALUES} from ${hours} join ${minutes}
      where not exists (select from usage_hourly c where c.series_id = h.series_id and c.hour = h.hour and c.closed)
      group by h.series_id, h.hour
      on conflict (series_id, hour) do update set
        ${list(NAMES.map((name) => sql`${sql.id(name)} = excluded.${sql.id(name)}`))}`.execute(tx);
    return due.length;
  });
}

import { type RawBuilder, sql } from 'kysely';
import { asDatabaseError } from '../postgres/errors.ts';
import type {
  ContainerMetricsTable,
  MetricSeriesTable,
  MetricsDatabase,
  NodeMetricsTable,
  RequestMetricsTable,
  UsageHourlyTable,
} from './metrics-database.ts';

/** Whose rows are asked for. What is left out is all. */
export interface SeriesFilter {
  readonly deploymentIds?: readonly string[];
  readonly replicaId?: string;
  readonly nodeId?: string;
}

/** A time range: from a moment on, up to and without another, milliseconds since 1970. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

type WithSeries<Row> = Omit<Row, 'series_id'> &
  Pick<MetricSeriesTable, 'node_id' | 'deployment_id' | 'replica_id' | 'container_id'>;

/** Reads what is stored, as one series wherever its rows lie. */
export interface MetricsReader {
  /** Rows of containers in the order of time; each once, also while it moves from one database to the other. */
  listContainerMinutes(filter: SeriesFilter, range: TimeRange): Promise<WithSeries<ContainerMetricsTable>[]>;
  listNodeMinutes(filter: SeriesFilter, range: TimeRange): Promise<WithSeries<NodeMetricsTable>[]>;
  listRequestMinutes(filter: SeriesFilter, range: TimeRange): Promise<WithSeries<RequestMetricsTable>[]>;
  /** Hours as the roll-up has summed them; the present one up to its last run. */
  listUsageHours(filter: SeriesFilter, range: TimeRange): Promise<WithSeries<UsageHourlyTable>[]>;
  /** What deployments used by the month of UTC: sums over replicas, in the order of time and then of deployments. */
  listMonthlyUsage(deploymentIds: readonly string[], range: TimeRange, limit?: number): Promise<MonthlyUsage[]>;
}

/** What a deployment used in a month. Whole numbers as text, since they may be larger than 2^53. */
export interface MonthlyUsage {
  readonly deploymentId: string;
  /** Its first moment. */
  readonly month: Date;
  readonly cpuNanos: string;
  /** Σ of memory × time. */
  readonly memoryByteMillis: string;
  readonly networkReceiveBytes: string;
  readonly networkTransmitBytes: string;
  readonly diskReadBytes: string;
  readonly diskWriteBytes: string;
  /** Summed over replicas: two that run for an hour are two hours. */
  readonly uptimeMs: string;
}

type MinuteTable = 'container_metrics' | 'node_metrics' | 'request_metrics';

/**
 * Creates the reader of metrics.
 *
 * @param main the metrics database.
 * @param standIn where rows go while that one is away: the control database. One of them may be away, then the answer has
 *   what the other holds.
 */
export function createMetricsReader(main: MetricsDatabase, standIn?: MetricsDatabase): MetricsReader {
  const read = async <Row>(db: MetricsDatabase, statement: RawBuilder<Row>): Promise<Row[]> => {
    try {
      return (await statement.execute(db)).rows;
    } catch (error) {
      throw asDatabaseError(error);
    }
  };

  const listMinutes = async <Row extends { readonly minute: Date }>(
    table: MinuteTable,
    filter: SeriesFilter,
    range: TimeRange,
  ): Promise<WithSeries<Row>[]> => {
    const statement = minutesStatement<WithSeries<Row> & { minute: Date }>(table, filter, range);
    // The stand-in is read first: a row that moves meanwhile is then found twice at most, and never not at all.
    const early = standIn ? await Promise.allSettled([read(standIn, statement)]) : [];
    const [late] = await Promise.allSettled([read(main, statement)]);
    const answers = [...early, late];
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed && answers.every(({ status }) => status === 'rejected')) throw failed.reason;
    return mergeRows(found) as WithSeries<Row>[];
  };

  return {
    listContainerMinutes: (filter, range) => listMinutes<ContainerMetricsTable>('container_metrics', filter, range),
    listNodeMinutes: (filter, range) => listMinutes<NodeMetricsTable>('node_metrics', filter, range),
    listRequestMinutes: (filter, range) => listMinutes<RequestMetricsTable>('request_metrics', filter, range),
    listUsageHours: async (filter, range) =>
      await read(
        main,
        sql<WithSeries<UsageHourlyTable>>`
          select s.node_id, s.deployment_id, s.replica_id, s.container_id, u.*
          from usage_hourly u join metric_series s on s.id = u.series_id
          where u.hour >= ${new Date(range.fromMs)} and u.hour < ${new Date(range.toMs)} and ${matches(filter)}
          order by u.hour, u.series_id`,
      ),
    listMonthlyUsage: async (deploymentIds, range, limit) =>
      await read(
        main,
        sql<MonthlyUsage>`
          select s.deployment_id as "deploymentId", date_trunc('month', u.hour, 'UTC') as month,
            sum(u.cpu_nanos) as "cpuNanos", sum(u.memory_byte_millis) as "memoryByteMillis",
            sum(u.network_receive_bytes) as "networkReceiveBytes", sum(u.network_transmit_bytes) as "networkTransmitBytes",
            sum(u.disk_read_bytes) as "diskReadBytes", sum(u.disk_write_bytes) as "diskWriteBytes",
            sum(u.observed_ms) as "uptimeMs"
          from usage_hourly u join metric_series s on s.id = u.series_id
          where u.hour >= ${new Date(range.fromMs)} and u.hour < ${new Date(range.toMs)} and ${matches({ deploymentIds })}
          group by 1, 2 order by 2, 1 limit ${limit ?? null}::bigint`,
      ),
  };
}

function minutesStatement<Row>(table: MinuteTable, filter: SeriesFilter, range: TimeRange): RawBuilder<Row> {
  return sql<Row>`
    select s.node_id, s.deployment_id, s.replica_id, s.container_id, m.*
    from ${sql.id(table)} m join metric_series s on s.id = m.series_id
    where m.minute >= ${new Date(range.fromMs)} and m.minute < ${new Date(range.toMs)} and ${matches(filter)}
    order by m.minute, m.series_id`;
}

function matches({ deploymentIds, replicaId, nodeId }: SeriesFilter): RawBuilder<boolean> {
  const conditions = [
    ...(deploymentIds ? [sql<boolean>`s.deployment_id = any (${deploymentIds}::uuid[])`] : []),
    ...(replicaId === undefined ? [] : [sql<boolean>`s.replica_id = ${replicaId}`]),
    ...(nodeId === undefined ? [] : [sql<boolean>`s.node_id = ${nodeId}`]),
  ];
  return conditions.length > 0 ? sql.join(conditions, sql` and `) : sql<boolean>`true`;
}

/** Each row once, in the order of time. Ids of series differ between databases; whose a row is does not. */
function mergeRows<Row extends { readonly minute: Date }>(rows: readonly (WithSeries<Row> & Row)[]): readonly Row[] {
  const byKey = new Map<string, Row>();
  for (const row of rows) {
    const key = `${row.minute.getTime()} ${row.node_id} ${row.deployment_id} ${row.replica_id} ${row.container_id}`;
    byKey.set(key, row);
  }
  return [...byKey.values()].sort((a, b) => a.minute.getTime() - b.minute.getTime());
}

import { type RawBuilder, sql } from 'kysely';
import type { MinuteRow } from '../../domain/metrics/minutes.ts';
import type { NodeMinuteRow } from '../../domain/metrics/node-minutes.ts';
import type { RequestMinuteRow, RowBatch } from '../../domain/metrics/rows.ts';
import { bigints, integers, timestamps } from './binary-array.ts';

/** The columns of numbers, in the order in which the functions of the database take them. */
const CONTAINER_COLUMNS: readonly (keyof MinuteRow)[] = [
  ...(['cpuNanos', 'cpuUserNanos', 'cpuSystemNanos', 'cpuThrottledNanos'] as const),
  ...(['networkReceiveBytes', 'networkTransmitBytes', 'networkReceivePackets', 'networkTransmitPackets'] as const),
  ...(['diskReadBytes', 'diskWriteBytes', 'diskReadOperations', 'diskWriteOperations', 'oomKills'] as const),
  ...(['memoryAverageBytes', 'memoryMaxBytes', 'memoryLimitBytes', 'pageCacheBytes'] as const),
  ...(['pidsMax', 'observedMs', 'samples'] as const),
];
const NODE_COLUMNS: readonly (keyof NodeMinuteRow)[] = [
  ...(['cpuBusyNanos', 'cpuTotalNanos', 'memoryUsedBytes', 'memoryTotalBytes'] as const),
  ...(['diskUsedBytes', 'diskTotalBytes', 'load1Hundredths'] as const),
  ...(['pressureCpuMicros', 'pressureMemoryMicros', 'pressureIoMicros', 'samples'] as const),
];
const REQUEST_COLUMNS: readonly (keyof RequestMinuteRow)[] = [
  ...(['requests', 'status1xx', 'status2xx', 'status3xx', 'status4xx', 'status5xx'] as const),
  ...(['bytesIn', 'bytesOut', 'latencySumMicros'] as const),
];

/** The statement that stores rows of one node. It answers with one row: how many of them were not there already. */
export function writeStatement(nodeId: string, batch: RowBatch): RawBuilder<{ stored: number }> {
  switch (batch.kind) {
    case 'container': {
      const { series, places } = seriesOf(
        batch.rows,
        (row) => row.containerId,
        (a, b) => a.replicaId === b.replicaId && a.deploymentId === b.deploymentId,
      );
      const names = (['deploymentId', 'replicaId', 'containerId'] as const).map((name) =>
        series.map((row) => row[name]),
      );
      return call('write_container_minutes', [nodeId, ...names, places, ...numbers(batch.rows, CONTAINER_COLUMNS)]);
    }
    case 'node':
      return call('write_node_minutes', [nodeId, ...numbers(batch.rows, NODE_COLUMNS)]);
    case 'request': {
      const { series, places } = seriesOf(
        batch.rows,
        (row) => row.deploymentId,
        () => true,
      );
      const deployments = series.map((row) => row.deploymentId);
      const buckets = batch.rows.map((row) => `{${row.latencyBuckets.join(',')}}`);
      return call('write_request_minutes', [
        ...[nodeId, deployments, places],
        ...numbers(batch.rows, REQUEST_COLUMNS),
        buckets,
      ]);
    }
  }
}

function call(name: string, parameters: readonly unknown[]): RawBuilder<{ stored: number }> {
  return sql`select ${sql.id(name)}(${sql.join(parameters)}) as stored`;
}

/**
 * The first row of each series, and for each row the place of its series, from 1. Rows of one series have the same name, which
 * is looked up, and are the same in the rest: names put together for each row would take longer than all else here.
 */
function seriesOf<Row>(rows: readonly Row[], nameOf: (row: Row) => string, isSame: (a: Row, b: Row) => boolean) {
  const placesByName = new Map<string, number[]>();
  const series: Row[] = [];
  const places = rows.map((row) => {
    const name = nameOf(row);
    const named = placesByName.get(name);
    const known = named?.find((place) => isSame(series[place - 1] as Row, row));
    if (known !== undefined) return known;
    series.push(row);
    if (named) named.push(series.length);
    else placesByName.set(name, [series.length]);
    return series.length;
  });
  return { series, places: integers(places) };
}

function numbers<Row extends { readonly minuteMs: number }>(rows: readonly Row[], columns: readonly (keyof Row)[]) {
  const column = (name: keyof Row): Buffer => bigints(rows.map((row) => row[name] as number | null));
  return [timestamps(rows.map(({ minuteMs }) => minuteMs)), ...columns.map(column)];
}

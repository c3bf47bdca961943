import { randomUUID } from 'node:crypto';
import { openMetricsDatabase } from '../adapters/timescale/metrics-database.ts';
import { prepareMetricsDatabase } from '../adapters/timescale/migrate.ts';
import { createRowStore } from '../adapters/timescale/row-store.ts';
import type { MinuteRow } from '../domain/metrics/minutes.ts';
import { createEmptyDatabase, startPostgres } from '../test/support/postgres.ts';
import { type Bench, type Figure, percentile } from './figure.ts';
import { type FlatRow, openCopyFloor } from './floor/copy-rows.ts';

const ROWS = 10_000;
const CONTAINERS = 100;
/** They reach back 20 hours, for which there are partitions. */
const SAMPLES = 12;
const MINUTE_MS = 60_000;
/** Of all samples: those of two minutes would overlap. */
const THIS_MINUTE_MS = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;

/** What else could be done: COPY to where nothing is checked, and on from there. */
const MOVE_STAGED =
  'WITH rows AS (DELETE FROM staged_rows RETURNING *) INSERT INTO container_metrics SELECT * FROM rows ON CONFLICT DO NOTHING';

/**
 * 10,000 rows as a streamer writes them, in one statement, by the role that can only add rows: names of series included,
 * each row once, hours marked for the roll-up. Against bare COPY of the same numbers into a bare table with the same key,
 * to which rows could neither come twice nor by a stranger.
 */
export const bench: Bench = {
  name: 'metrics-ingest',
  about: '10,000 rows of containers by the streamer’s own path, against COPY text and COPY binary',
  run,
};

async function run(): Promise<readonly Figure[]> {
  const server = await startPostgres();
  try {
    return await measure((await createEmptyDatabase(server.adminUrl)).url);
  } finally {
    await server.stop();
  }
}

async function measure(url: string): Promise<readonly Figure[]> {
  const writer = { role: 'bench_writer', password: randomUUID() };
  await prepareMetricsDatabase(url, { writer });
  const asWriter = new URL(url);
  [asWriter.username, asWriter.password] = [writer.role, writer.password];
  const db = openMetricsDatabase(asWriter.href);
  const store = createRowStore(db, () => 'node-of-the-bench');
  const floor = await openCopyFloor(url, 'floor_rows');
  await floor.client.query('CREATE TABLE floor_rows (LIKE container_metrics, PRIMARY KEY (series_id, minute))');
  await floor.client.query('CREATE UNLOGGED TABLE staged_rows (LIKE container_metrics)');
  const staging = await openCopyFloor(url, 'staged_rows');
  const again: number[] = [];
  const times = { text: [] as number[], binary: [] as number[], own: [] as number[], staged: [] as number[] };
  const containers = makeContainers();
  // Each sample is of earlier minutes, so that all tables grow alike and no plan is made anew.
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const rows = makeRows(containers, sample);
    const flat = (firstSeries: number): FlatRow[] =>
      rows.map((row, index) => flatten(row, firstSeries + (index % CONTAINERS)));
    const [forText, forBinary, forStaging] = [flat(1_000_000), flat(2_000_000), flat(3_000_000)];
    times.text.push(await timed(() => floor.text(forText)));
    times.own.push(await timed(() => store.insertRows({ kind: 'container', rows })));
    times.binary.push(await timed(() => floor.binary(forBinary)));
    again.push(await timed(() => store.insertRows({ kind: 'container', rows })));
    times.staged.push(
      await timed(async () => {
        await staging.binary(forStaging);
        await staging.client.query(MOVE_STAGED);
      }),
    );
  }
  await db.destroy();
  await staging.close();
  await floor.close();
  const p50 = (samples: readonly number[]): number => percentile(samples.slice(1), 0.5);
  const own = p50(times.own);
  return [
    throughput({ name: 'rows, against COPY text', own, floor: p50(times.text), least: 0.8 }),
    throughput({ name: 'rows, against COPY binary', own, floor: p50(times.binary), least: 0.55 }),
    throughput({ name: 'the same rows again', own: p50(again), floor: p50(times.binary), least: null }),
    throughput({
      name: 'by COPY binary into a staging',
      own: p50(times.staged),
      floor: p50(times.binary),
      least: null,
    }),
  ];
}

/** The ratio is of rows a second: 1 is as fast as the floor. */
function throughput(measure: { name: string; own: number; floor: number; least: number | null }): Figure {
  const { name, own, floor, least } = measure;
  const ratio = floor / own;
  const goal = least === null ? null : `ratio >= ${least}`;
  return { name, value: own, unit: 'ms', floor, ratio, goal, holds: least === null || ratio >= least };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

interface BenchContainer {
  readonly deploymentId: string;
  readonly replicaId: string;
  readonly containerId: string;
}

function makeContainers(): readonly BenchContainer[] {
  return Array.from({ length: CONTAINERS }, (_, index) => ({
    ...{ deploymentId: randomUUID(), replicaId: `r1-${index}` },
    containerId: index.toString(16).padStart(64, 'a'),
  }));
}

function makeRows(containers: readonly BenchContainer[], sample: number): MinuteRow[] {
  const newest = THIS_MINUTE_MS - (sample * MINUTE_MS * ROWS) / CONTAINERS;
  return Array.from({ length: ROWS }, (_, index) => ({
    ...(containers[index % CONTAINERS] as BenchContainer),
    minuteMs: newest - Math.floor(index / CONTAINERS) * MINUTE_MS,
    ...{ cpuNanos: 12_345_678_901 + index, cpuUserNanos: 9_000_000_000, cpuSystemNanos: 3_345_678_901 },
    ...{ cpuThrottledNanos: 1_000, networkReceiveBytes: 123_456_789 + index, networkTransmitBytes: 987_654_321 },
    ...{ networkReceivePackets: 123_456, networkTransmitPackets: 654_321, diskReadBytes: 4_096 * index },
    ...{ diskWriteBytes: 1_048_576, diskReadOperations: index, diskWriteOperations: 256, oomKills: 0 },
    ...{ memoryAverageBytes: 268_435_456, memoryMaxBytes: 300_000_000, memoryLimitBytes: 536_870_912 },
    ...{ pageCacheBytes: 33_554_432, pidsMax: 12, observedMs: MINUTE_MS, samples: 12 },
  }));
}

function flatten(row: MinuteRow, series: number): FlatRow {
  const { containerId: _, deploymentId: __, replicaId: ___, minuteMs, ...counters } = row;
  return [series, minuteMs, ...Object.values(counters)];
}

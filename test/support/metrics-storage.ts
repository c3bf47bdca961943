import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MetricsDatabase, openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { migrateMetrics, prepareMetricsDatabase } from '../../adapters/timescale/migrate.ts';
import { createRowStore } from '../../adapters/timescale/row-store.ts';
import type { MinuteRow } from '../../domain/metrics/minutes.ts';
import type { NodeMinuteRow } from '../../domain/metrics/node-minutes.ts';
import type { RequestMinuteRow } from '../../domain/metrics/rows.ts';
import type { TestDatabase } from './postgres.ts';
import { evenCounters } from './samples.ts';

export const NODE = 'node-of-this-test';
const MINUTE_MS = 60_000;

/** The beginning of this minute, or of one so many minutes ago. */
export function minuteMs(ago = 0): number {
  return Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - ago * MINUTE_MS;
}

/** A complete row of a container. */
export function aRow(changes: Partial<MinuteRow> = {}): MinuteRow {
  return {
    ...evenCounters(9_007_199_254_740_991),
    containerId: 'c'.repeat(64),
    minuteMs: minuteMs(),
    deploymentId: randomUUID(),
    replicaId: 'r1-0',
    memoryAverageBytes: 10,
    memoryMaxBytes: 20,
    memoryLimitBytes: 30,
    pageCacheBytes: 40,
    pidsMax: 50,
    observedMs: 60_000,
    samples: 12,
    ...changes,
  };
}

/** A complete row of a node whose kernel tells no pressure of memory. */
export function aNodeRow(changes: Partial<NodeMinuteRow> = {}): NodeMinuteRow {
  const sizes = { memoryUsedBytes: 3, memoryTotalBytes: 4, diskUsedBytes: 5, diskTotalBytes: 6 };
  const pressure = { pressureCpuMicros: 8, pressureMemoryMicros: null, pressureIoMicros: 9 };
  const counted = { cpuBusyNanos: 1, cpuTotalNanos: 2, load1Hundredths: 7, samples: 12 };
  return { nodeId: NODE, minuteMs: minuteMs(), ...counted, ...sizes, ...pressure, ...changes };
}

/** A complete row of requests. */
export function aRequestRow(changes: Partial<RequestMinuteRow> = {}): RequestMinuteRow {
  const classes = { status1xx: 0, status2xx: 4, status3xx: 1, status4xx: 2, status5xx: 3 };
  const sums = { requests: 10, bytesIn: 100, bytesOut: 1000, latencyBuckets: [1, 5, 10], latencySumMicros: 77 };
  return { deploymentId: randomUUID(), nodeId: NODE, minuteMs: minuteMs(), ...classes, ...sums, ...changes };
}

/** What a store of metrics has to do, whatever server it lies on. */
export function describeMetricsStorage(on: string, edition: string, create: () => Promise<TestDatabase>): void {
  describe(`the store of minute rows on ${on}`, () => {
    let database: TestDatabase;
    const opened: MetricsDatabase[] = [];

    beforeAll(async () => {
      database = await create();
    });
    afterEach(async () => {
      for (const db of opened.splice(0)) await db.destroy();
    });
    afterAll(async () => await database?.drop());

    function open(url = database.url): MetricsDatabase {
      const db = openMetricsDatabase(url);
      opened.push(db);
      return db;
    }

    const storeOf = (db: MetricsDatabase) => createRowStore(db, () => NODE);
    const readAll = (containerId: string) =>
      open()
        .selectFrom('container_metrics')
        .innerJoin('metric_series', 'metric_series.id', 'container_metrics.series_id')
        .selectAll()
        .where('container_id', '=', containerId)
        .orderBy('minute')
        .execute();

    it('makes its tables at the first write, also when many begin at once', async () => {
      const containerId = 'a'.repeat(64);
      const rows = [0, 1, 2, 3, 4].map((ago) => aRow({ containerId, minuteMs: minuteMs(ago) }));
      await Promise.all(rows.map((row) => storeOf(open()).insertRows({ kind: 'container', rows: [row] })));
      expect(await readAll(containerId)).toHaveLength(5);
      await migrateMetrics(open());
      const { rows: found } = await sql<{ edition: string }>`select metrics_edition() as edition`.execute(open());
      expect(found[0]?.edition).toBe(edition);
    });

    it('writes what was counted to the last unit, and a row that is there already not again', async () => {
      const containerId = 'b'.repeat(64);
      const store = storeOf(open());
      const [first, second] = [aRow({ containerId, minuteMs: minuteMs(1) }), aRow({ containerId })];
      const again = { ...first, cpuNanos: 1 };
      const later = { ...second, deploymentId: first.deploymentId };
      expect(await store.insertRows({ kind: 'container', rows: [first] })).toBe(1);
      expect(await store.insertRows({ kind: 'container', rows: [again, later] })).toBe(1);
      const found = await readAll(containerId);
      expect(found.map(({ minute }) => minute.getTime())).toEqual([first.minuteMs, later.minuteMs]);
      expect(found[0]).toMatchObject({
        ...{ node_id: NODE, deployment_id: first.deploymentId, replica_id: 'r1-0', cpu_nanos: '9007199254740991' },
        ...{ oom_kills: '9007199254740991', memory_max_bytes: '20', observed_ms: '60000', samples: '12' },
      });
    });

    it('takes rows that are hours late or a day early, and none that are older than it keeps any', async () => {
      const containerId = 'e'.repeat(64);
      const rows = [60 * 24 * 40, 60 * 30, -60].map((ago) => aRow({ containerId, minuteMs: minuteMs(ago) }));
      expect(await storeOf(open()).insertRows({ kind: 'container', rows })).toBe(3);
      const ancient = aRow({ containerId, minuteMs: 600_000 });
      await expect(storeOf(open()).insertRows({ kind: 'container', rows: [ancient] })).rejects.toThrow('last 50 days');
    });

    it('keeps rows of nodes and of requests on the same path', async () => {
      const store = storeOf(open());
      for (const stored of [1, 0]) {
        expect(await store.insertRows({ kind: 'node', rows: [aNodeRow()] })).toBe(stored);
      }
      const requests = [1, 0].map((ago) => aRequestRow({ minuteMs: minuteMs(ago) }));
      for (const stored of [2, 0]) expect(await store.insertRows({ kind: 'request', rows: requests })).toBe(stored);
      const node = await open().selectFrom('node_metrics').selectAll().executeTakeFirstOrThrow();
      expect(node).toMatchObject({ pressure_cpu_micros: '8', pressure_memory_micros: null, load1_hundredths: '7' });
      const request = await open().selectFrom('request_metrics').selectAll().executeTakeFirstOrThrow();
      expect(request).toMatchObject({ requests: '10', status_5xx: '3', latency_buckets: ['1', '5', '10'] });
    });

    it('lets a streamer add rows, and neither read, change nor remove; of its own node, if it is bound to one', async () => {
      const role = `writer_${randomUUID().slice(0, 8)}`;
      const password = "it's a secret";
      for (const nodeId of ['another-node', NODE]) {
        await prepareMetricsDatabase(database.url, { writer: { role, password, nodeId } });
      }
      const url = new URL(database.url);
      [url.username, url.password] = [role, encodeURIComponent(password)];
      const writer = open(url.href);
      const containerId = 'd'.repeat(64);
      const batch = { kind: 'container', rows: [aRow({ containerId })] } as const;
      for (const _ of [1, 2]) await storeOf(writer).insertRows(batch);
      expect(await readAll(containerId)).toHaveLength(1);
      for (const attempt of [
        writer.selectFrom('container_metrics').selectAll(),
        writer.selectFrom('metric_series').selectAll(),
        writer.insertInto('metric_writers').values({ role: 'other', node_id: 'other' }),
        writer.updateTable('container_metrics').set({ cpu_nanos: '0' }),
        writer.deleteFrom('container_metrics'),
      ]) {
        await expect(attempt.execute()).rejects.toThrow('permission denied');
      }
      const other = createRowStore(writer, () => 'another-node').insertRows(batch);
      await expect(other).rejects.toThrow('rows of another node only');
      await sql`drop owned by ${sql.id(role)}`.execute(open());
      await sql`drop role ${sql.id(role)}`.execute(open());
    });
  });
}

import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MetricsDatabase, openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { migrateMetrics } from '../../adapters/timescale/migrate.ts';
import { moveRows } from '../../adapters/timescale/move-rows.ts';
import type { MetricsPeriods } from '../../adapters/timescale/retain.ts';
import { rollUpHours } from '../../adapters/timescale/roll-up.ts';
import { createRowStore } from '../../adapters/timescale/row-store.ts';
import { createMetricsUpkeep } from '../../adapters/timescale/upkeep.ts';
import type { MinuteRow } from '../../domain/metrics/minutes.ts';
import { aNodeRow, aRequestRow, aRow, NODE } from './metrics-storage.ts';
import type { TestDatabase } from './postgres.ts';
import { evenCounters } from './samples.ts';

const HOUR_MS = 3_600_000;

/** The beginning of the hour so many hours ago. */
const hourMs = (ago: number): number => Math.floor(Date.now() / HOUR_MS) * HOUR_MS - ago * HOUR_MS;
const EVER = { fromMs: 0, toMs: Date.UTC(2100, 0) };
const A_DAY: MetricsPeriods = { minutesMs: 24 * HOUR_MS, hoursMs: 400 * 24 * HOUR_MS, own: [] };

/**
 * What the upkeep of metrics has to do, whatever server they lie on.
 *
 * @param server.takesTurns whether nobody gets a turn on it while another is within a transaction.
 */
export function describeMetricsUpkeep(
  on: string,
  create: () => Promise<TestDatabase>,
  server: { readonly takesTurns: boolean } = { takesTurns: false },
): void {
  describe(`the upkeep of metrics on ${on}`, () => {
    const databases: TestDatabase[] = [];
    let main: MetricsDatabase;
    let standIn: MetricsDatabase;

    beforeAll(async () => {
      for (const _ of [1, 2]) databases.push(await create());
      const opened = databases.map(({ url }) => openMetricsDatabase(url));
      for (const db of opened) await migrateMetrics(db);
      [main, standIn] = opened as [MetricsDatabase, MetricsDatabase];
    });
    afterAll(async () => {
      await Promise.all([main?.destroy(), standIn?.destroy()]);
      for (const database of databases) await database.drop();
    });

    const insert = (db: MetricsDatabase, rows: readonly MinuteRow[]) =>
      createRowStore(db, () => NODE).insertRows({ kind: 'container', rows });
    const upkeep = (periods = A_DAY) =>
      createMetricsUpkeep({
        ...{ main, standIn, now: Date.now },
        readPeriods: async () => periods,
        forgetDeployments: async () => undefined,
      });
    const hoursOf = (deploymentId: string) =>
      createMetricsReader(main).listUsageHours({ deploymentIds: [deploymentId] }, EVER);
    const minutesOf = (deploymentId: string) =>
      createMetricsReader(main, standIn).listContainerMinutes({ deploymentIds: [deploymentId] }, EVER);

    /** Rows of a deployment's replicas, each minute counting one. */
    function rowsOf(deploymentId: string, ago: number, minutes: readonly number[], replicas = 1): MinuteRow[] {
      return Array.from({ length: replicas }, (_, replica) => replica).flatMap((replica) =>
        minutes.map((minute) =>
          aRow({
            ...evenCounters(1),
            ...{ deploymentId, replicaId: `r1-${replica}`, containerId: `${replica}`.repeat(64) },
            ...{ minuteMs: hourMs(ago) + minute * 60_000, memoryAverageBytes: 100, memoryMaxBytes: 100 + minute },
          }),
        ),
      );
    }

    it('sums up hours exactly, over replicas, and again when rows come late; twice is harmless', async () => {
      const deploymentId = randomUUID();
      await insert(main, rowsOf(deploymentId, 2, [0, 1, 2, 58], 3));
      for (const _ of [1, 2]) await upkeep().rollUpMetrics();
      const first = await hoursOf(deploymentId);
      expect(first).toHaveLength(3);
      const sums = { cpu_nanos: '4', memory_byte_millis: '24000000', observed_ms: '240000', memory_max_bytes: '158' };
      for (const hour of first) expect(hour).toMatchObject({ ...sums, samples: '48', hour: new Date(hourMs(2)) });
      await insert(main, rowsOf(deploymentId, 2, [0, 1, 59], 3));
      await upkeep().rollUpMetrics();
      expect((await hoursOf(deploymentId)).map(({ cpu_nanos }) => cpu_nanos)).toEqual(['5', '5', '5']);
      const { rows: due } = await sql`select * from usage_due`.execute(main);
      expect(due).toEqual([]);
      const month = new Date(new Date(hourMs(2)).toISOString().slice(0, 7));
      expect(await createMetricsReader(main).listMonthlyUsage([deploymentId], EVER)).toEqual([
        {
          ...{ deploymentId, month, cpuNanos: '15', memoryByteMillis: '90000000', uptimeMs: '900000' },
          ...{ networkReceiveBytes: '15', networkTransmitBytes: '15', diskReadBytes: '15', diskWriteBytes: '15' },
        },
      ]);
    });

    it('leaves an hour due when it dies half-way', async () => {
      const deploymentId = randomUUID();
      await insert(main, rowsOf(deploymentId, 3, [0, 1]));
      const dies = main.transaction().execute(async (tx) => {
        await sql`select 1`.execute(tx);
        await sql`delete from usage_due`.execute(tx);
        throw new Error('killed');
      });
      await expect(dies).rejects.toThrow('killed');
      expect(await rollUpHours(main, 100)).toBe(1);
      expect(await hoursOf(deploymentId)).toMatchObject([{ cpu_nanos: '2' }]);
    });

    it('leaves an hour due that a writer has in hand', async ({ skip }) => {
      skip(server.takesTurns, 'connections take turns here: nobody works while another is within a transaction');
      const deploymentId = randomUUID();
      await insert(main, rowsOf(deploymentId, 3, [0, 1]));
      await main.transaction().execute(async (writer) => {
        await sql`update usage_due set changes = changes + 1`.execute(writer);
        expect(await rollUpHours(main, 100)).toBe(0);
      });
      expect(await rollUpHours(main, 100)).toBe(1);
      expect(await hoursOf(deploymentId)).toMatchObject([{ cpu_nanos: '2' }]);
    });

    it('drops minutes after a day, sums them up before, and adds what comes later still: each minute once', async () => {
      const deploymentId = randomUUID();
      await insert(main, [...rowsOf(deploymentId, 60, [0, 1, 2]), ...rowsOf(deploymentId, 1, [7])]);
      await upkeep().retainMetrics();
      expect(await minutesOf(deploymentId)).toHaveLength(4);
      await upkeep().rollUpMetrics();
      for (const _ of [1, 2]) await upkeep().retainMetrics();
      expect(await minutesOf(deploymentId)).toHaveLength(1);
      await insert(main, rowsOf(deploymentId, 60, [1, 2, 3, 4]));
      for (const _ of [1, 2]) await upkeep().rollUpMetrics();
      for (const _ of [1, 2]) await upkeep().retainMetrics();
      expect((await hoursOf(deploymentId)).map(({ cpu_nanos }) => cpu_nanos)).toEqual(['5', '1']);
      expect(await minutesOf(deploymentId)).toHaveLength(1);
    });

    it('keeps an organization’s rows for as long as it wants', async () => {
      const [short, usual, long] = [randomUUID(), randomUUID(), randomUUID()];
      for (const id of [short, usual, long]) {
        await insert(
          main,
          [70, 30, 5, 0].flatMap((ago) => rowsOf(id, ago, [0])),
        );
      }
      const own = [
        { kind: 'metrics_minutes', keepHours: 2, deploymentIds: [short] },
        { kind: 'metrics_minutes', keepHours: 48, deploymentIds: [long] },
        { kind: 'metrics_hours', keepHours: 4, deploymentIds: [short] },
      ] as const;
      await upkeep({ ...A_DAY, own }).rollUpMetrics();
      for (const _ of [1, 2]) await upkeep({ ...A_DAY, own }).retainMetrics();
      const kept = await Promise.all([short, usual, long].map(minutesOf));
      expect(kept.map((rows) => rows.length)).toEqual([1, 2, 3]);
      const hours = await Promise.all([short, usual, long].map(hoursOf));
      expect(hours.map((rows) => rows.length)).toEqual([1, 4, 4]);
    });

    it('moves rows of the stand-in once, killed half-way too, and a reader sees one series throughout', async () => {
      const deploymentId = randomUUID();
      await insert(main, rowsOf(deploymentId, 1, [0, 1, 2]));
      await insert(standIn, rowsOf(deploymentId, 1, [2, 3, 4, 5]));
      const others = createRowStore(standIn, () => NODE);
      await others.insertRows({ kind: 'node', rows: [aNodeRow()] });
      await others.insertRows({ kind: 'request', rows: [aRequestRow({ deploymentId })] });
      expect(await minutesOf(deploymentId)).toHaveLength(6);
      await sql`create function refuse() returns trigger language plpgsql as 'begin raise exception $$killed$$; end'`.execute(
        standIn,
      );
      await sql`create trigger refuse before delete on usage_due execute function refuse()`.execute(standIn);
      await expect(moveRows(standIn, main, 100)).rejects.toThrow('killed');
      await sql`drop trigger refuse on usage_due`.execute(standIn);
      expect(await minutesOf(deploymentId)).toHaveLength(6);
      for (const _ of [1, 2]) expect(await upkeep().moveMetrics()).toMatchObject({ hasMore: false });
      for (const table of ['container_metrics', 'node_metrics', 'request_metrics', 'usage_due']) {
        expect((await sql`select * from ${sql.id(table)}`.execute(standIn)).rows).toEqual([]);
      }
      expect(await minutesOf(deploymentId)).toHaveLength(6);
      const reader = createMetricsReader(main);
      expect(await reader.listNodeMinutes({ nodeId: NODE }, EVER)).toMatchObject([{ load1_hundredths: '7' }]);
      const requests = await reader.listRequestMinutes({ deploymentIds: [deploymentId] }, EVER);
      expect(requests).toMatchObject([{ requests: '10', status_4xx: '2', latency_buckets: ['1', '5', '10'] }]);
      await upkeep().rollUpMetrics();
      expect(await hoursOf(deploymentId)).toMatchObject([{ cpu_nanos: '6' }]);
    });

    it('forgets series of which nothing is left, and gives them new ids when they come back', async () => {
      const deploymentId = randomUUID();
      await insert(main, rowsOf(deploymentId, 60, [0]));
      await sql`delete from container_metrics; `.execute(main);
      await sql`delete from usage_due`.execute(main);
      await sql`update metric_series set created_at = now() - interval '2 days'`.execute(main);
      await upkeep().retainMetrics();
      const left = await main
        .selectFrom('metric_series')
        .selectAll()
        .where('deployment_id', '=', deploymentId)
        .execute();
      expect(left).toEqual([]);
      await insert(main, rowsOf(deploymentId, 0, [0]));
      expect(await minutesOf(deploymentId)).toHaveLength(1);
    });
  });
}

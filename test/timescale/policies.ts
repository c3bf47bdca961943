import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MetricsDatabase, openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { migrateMetrics } from '../../adapters/timescale/migrate.ts';
import type { MetricsPeriods } from '../../adapters/timescale/retain.ts';
import { createRowStore } from '../../adapters/timescale/row-store.ts';
import { createMetricsUpkeep } from '../../adapters/timescale/upkeep.ts';
import { aRow, minuteMs, NODE } from '../support/metrics-storage.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { evenCounters } from '../support/samples.ts';

const DAY_MS = 24 * 3_600_000;
const EVER = { fromMs: 0, toMs: Date.UTC(2100, 0) };
const PERIODS: MetricsPeriods = { minutesMs: DAY_MS, hoursMs: 400 * DAY_MS, own: [] };

/** So many replicas have 104,400 hours in 30 days; a statement may unpack 100,000 rows. */
const SERIES = 145;

interface Job {
  readonly id: number;
  readonly proc: string;
  readonly table: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Has a database with the tables of metrics for the tests of a block. */
function useMigrated(create: () => Promise<TestDatabase>, use: (db: MetricsDatabase, url: string) => void): void {
  let database: TestDatabase | undefined;
  let db: MetricsDatabase | undefined;
  beforeAll(async () => {
    database = await create();
    db = openMetricsDatabase(database.url);
    await migrateMetrics(db);
    use(db, database.url);
  });
  afterAll(async () => {
    await db?.destroy();
    await database?.drop();
  });
}

/** What the community edition does by itself, and that the upkeep works on what it has packed. */
export function describePolicies(on: string, create: () => Promise<TestDatabase>): void {
  describe(`policies on ${on}`, () => {
    let db: MetricsDatabase;
    let url: string;
    useMigrated(create, (...opened) => {
      [db, url] = opened;
    });

    const upkeep = (periods = PERIODS) =>
      createMetricsUpkeep({
        ...{ main: db, now: Date.now, readPeriods: async () => periods, forgetDeployments: async () => undefined },
      });
    const insert = (changes: Parameters<typeof aRow>[0]) =>
      createRowStore(db, () => NODE).insertRows({
        kind: 'container',
        rows: [aRow({ ...evenCounters(1), ...changes })],
      });

    async function jobs(): Promise<readonly Job[]> {
      const { rows } = await sql<Job>`
        select job_id as id, proc_name as proc, hypertable_name as table, config
        from timescaledb_information.jobs where hypertable_schema = 'public' order by proc_name, hypertable_name
      `.execute(db);
      return rows;
    }

    /** At once, whatever its schedule is. A procedure that commits takes no parameters of a prepared statement. */
    async function run(proc: string): Promise<void> {
      for (const job of await jobs()) if (job.proc === proc) await patient(`call run_job(${job.id})`);
    }

    /** What takes longer than the platform allows its own statements. */
    async function patient(statement: string): Promise<void> {
      const client = new Client({ connectionString: url });
      await client.connect();
      try {
        await client.query(statement);
      } finally {
        await client.end();
      }
    }

    /** Copies an hour of a new deployment into all hours between so many days ago, for so many more replicas. */
    async function fillPast(of: { days: number; until: number; series: number }): Promise<string> {
      const deploymentId = randomUUID();
      await insert({ deploymentId, minuteMs: minuteMs(60) });
      await upkeep().rollUpMetrics();
      await sql`
        insert into metric_series (kind, node_id, deployment_id, replica_id, container_id)
        select 'container', ${NODE}, ${deploymentId}::uuid, 'r1-' || n, lpad(n::text, 64, '0')
        from generate_series(1, ${sql.lit(of.series)}) as n`.execute(db);
      await patient(`
        insert into usage_hourly
        select (jsonb_populate_record(u, jsonb_build_object('series_id', s.id, 'closed', true,
          'hour', u.hour - interval '${of.days} days' - n * interval '1 hour'))).*
        from usage_hourly u
        join metric_series o on o.id = u.series_id and o.deployment_id = '${deploymentId}' and o.replica_id = 'r1-0'
        join metric_series s on s.deployment_id = o.deployment_id and s.replica_id <> o.replica_id
        cross join generate_series(1, ${(of.until - of.days) * 24}) as n`);
      return deploymentId;
    }

    /** Hours of a deployment that are younger than so many days. */
    async function countWithin(deploymentId: string, days: number): Promise<number> {
      const { rows } = await sql<{ hours: number }>`
        select count(*)::integer as hours from usage_hourly join metric_series s on s.id = series_id
        where s.deployment_id = ${deploymentId}::uuid
          and hour >= date_trunc('hour', now()) - ${sql.lit(days)} * interval '1 day'`.execute(db);
      return rows[0]?.hours ?? Number.NaN;
    }

    /** Of the hours, oldest first: whether each is packed, and what of it lies beside that. */
    async function hourChunks(): Promise<readonly { isPacked: boolean; looseBytes: number }[]> {
      const { rows } = await sql<{ isPacked: boolean; looseBytes: number }>`
        select is_compressed as "isPacked",
          pg_relation_size(format('%I.%I', chunk_schema, chunk_name)::regclass)::integer as "looseBytes"
        from timescaledb_information.chunks where hypertable_name = 'usage_hourly' order by range_start`.execute(db);
      return rows;
    }

    it('are there for what the licence allows', async () => {
      expect((await jobs()).map(({ proc, table, config }) => [proc, table, config])).toEqual([
        ['policy_compression', 'usage_hourly', expect.objectContaining({ compress_after: '60 days' })],
        ...['container_metrics', 'node_metrics', 'request_metrics'].map((table) => [
          ...['policy_retention', table],
          expect.objectContaining({ drop_after: '60 days' }),
        ]),
      ]);
    });

    it('pack old hours, of which each reads as before', async () => {
      const deploymentId = await fillPast({ days: 100, until: 101, series: 2 });
      const hours = () => createMetricsReader(db).listUsageHours({ deploymentIds: [deploymentId] }, EVER);
      const before = await hours();
      expect(before).toHaveLength(1 + 2 * 24);
      await run('policy_compression');
      const found = await hourChunks();
      expect(found.at(-1)?.isPacked).toBe(false);
      for (const chunk of found.slice(0, -1)) expect(chunk).toEqual({ isPacked: true, looseBytes: 0 });
      expect(await hours()).toEqual(before);
    });

    it('have the roll-up and the retention leave packed hours as they are, and late minutes still count once', async () => {
      await fillPast({ days: 100, until: 130, series: SERIES });
      await run('policy_compression');
      const packed = async () => (await hourChunks()).filter(({ isPacked }) => isPacked);
      const before = await packed();
      expect(before.length).toBeGreaterThan(2);
      const late = { deploymentId: randomUUID(), minuteMs: minuteMs(30 * 60) };
      for (const minutes of [
        [0, 1],
        [1, 2],
      ]) {
        for (const minute of minutes) await insert({ ...late, minuteMs: late.minuteMs + minute * 60_000 });
        for (const _ of [1, 2]) await upkeep().rollUpMetrics();
        await upkeep().retainMetrics();
      }
      const hours = await createMetricsReader(db).listUsageHours({ deploymentIds: [late.deploymentId] }, EVER);
      expect(hours.reduce((sum, { cpu_nanos }) => sum + Number(cpu_nanos), 0)).toBe(3);
      expect(await packed()).toEqual(before);
    });

    it('leave packed hours to be removed when their time is over, more of them than a statement may unpack', async () => {
      const [usual, short] = [
        await fillPast({ days: 390, until: 430, series: SERIES }),
        await fillPast({ days: 100, until: 130, series: 5 }),
      ];
      await run('policy_compression');
      const kept = { [usual]: 400, [short]: 110 };
      const expected = Object.fromEntries(
        await Promise.all(Object.entries(kept).map(async ([id, days]) => [id, await countWithin(id, days)] as const)),
      );
      const own = [{ kind: 'metrics_hours', keepHours: 110 * 24, deploymentIds: [short] }] as const;
      for (let pages = 0; (await upkeep({ ...PERIODS, own }).retainMetrics()).hasMore; )
        expect(++pages).toBeLessThan(100);
      for (const id of [usual, short]) expect(await countWithin(id, 10_000)).toBe(expected[id]);
    });

    it('remove minutes that are older than any that an orchestrator keeps', async () => {
      const deploymentId = randomUUID();
      await insert({ deploymentId });
      await sql`
        insert into container_metrics
        select (jsonb_populate_record(m, jsonb_build_object('minute', m.minute - interval '70 days'))).*
        from container_metrics m join metric_series s on s.id = m.series_id where s.deployment_id = ${deploymentId}::uuid
      `.execute(db);
      const minutes = () => createMetricsReader(db).listContainerMinutes({ deploymentIds: [deploymentId] }, EVER);
      expect(await minutes()).toHaveLength(2);
      await run('policy_retention');
      expect(await minutes()).toHaveLength(1);
    });
  });

  describe(`a continuous aggregate on ${on}`, () => {
    let db: MetricsDatabase;
    useMigrated(create, (opened) => {
      db = opened;
    });

    /** When this no longer holds, decision 36 is to be taken again. */
    it('forgets an hour whose minutes were dropped, once a row of it comes late', async () => {
      const insert = (ago: number) =>
        createRowStore(db, () => NODE).insertRows({
          kind: 'container',
          rows: [aRow({ ...evenCounters(1), deploymentId: randomUUID(), minuteMs: hour + ago * 60_000 })],
        });
      const hour = Math.floor((Date.now() - 2 * DAY_MS) / 3_600_000) * 3_600_000;
      await sql`
        create materialized view hours with (timescaledb.continuous) as
        select time_bucket('1 hour', minute) as hour, sum(cpu_nanos) as cpu_nanos from container_metrics group by 1
        with no data`.execute(db);
      const refresh = () => sql`call refresh_continuous_aggregate('hours', null, null)`.execute(db);
      const sums = async () => (await sql`select cpu_nanos from hours`.execute(db)).rows;
      for (const minute of [0, 1, 2]) await insert(minute);
      await refresh();
      expect(await sums()).toEqual([{ cpu_nanos: '3' }]);
      await sql`select drop_chunks('container_metrics', older_than => now() - interval '1 day')`.execute(db);
      await insert(3);
      await refresh();
      expect(await sums()).toEqual([{ cpu_nanos: '1' }]);
    });
  });
}

import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MinuteRow } from '../../domain/metrics/minutes.ts';
import { adminUrlOfRun } from '../../test/support/database.ts';
import { createEmptyDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { aMinuteRow, evenCounters } from '../../test/support/samples.ts';
import { type MetricsDatabase, openMetricsDatabase } from './metrics-database.ts';
import { migrateMetrics, prepareMetricsDatabase } from './migrate.ts';
import { createRowStore } from './row-store.ts';

const NODE = 'node-of-this-test';

function aRow(changes: Partial<MinuteRow> = {}): MinuteRow {
  return aMinuteRow({ ...evenCounters(9_007_199_254_740_991), deploymentId: randomUUID(), ...changes });
}

describe('the store of minute rows', () => {
  let database: TestDatabase;
  const opened: MetricsDatabase[] = [];

  beforeAll(async () => {
    database = await createEmptyDatabase(adminUrlOfRun());
  });
  afterEach(async () => {
    for (const db of opened.splice(0)) await db.destroy();
  });
  afterAll(async () => await database.drop());

  function open(url = database.url): MetricsDatabase {
    const db = openMetricsDatabase(url);
    opened.push(db);
    return db;
  }

  const readAll = (containerId: string) =>
    open().selectFrom('container_metrics').selectAll().where('container_id', '=', containerId).execute();

  it('makes its tables at the first write, also when many begin at once', async () => {
    const containerId = 'a'.repeat(64);
    const rows = [0, 1, 2, 3, 4].map((index) => aRow({ containerId, minuteMs: index * 60_000 }));
    await Promise.all(rows.map((row) => createRowStore(open(), () => NODE).insertRows([row])));
    expect(await readAll(containerId)).toHaveLength(5);
    await migrateMetrics(open());
  });

  it('writes what was counted to the last unit, and a row that is there already not again', async () => {
    const containerId = 'b'.repeat(64);
    const store = createRowStore(open(), () => NODE);
    const [first, second] = [aRow({ containerId }), aRow({ containerId, minuteMs: 660_000 })];
    await store.insertRows([first]);
    await store.insertRows([{ ...first, cpuNanos: 1 }, second]);
    const found = await readAll(containerId);
    expect(found.map(({ minute }) => minute.getTime())).toEqual([600_000, 660_000]);
    expect(found[0]).toMatchObject({
      node_id: NODE,
      cpu_nanos: '9007199254740991',
      memory_max_bytes: '20',
      samples: 12,
    });
  });

  it('lets a streamer insert, and neither read, change nor remove', async () => {
    const role = `writer_${randomUUID().slice(0, 8)}`;
    for (const _ of [1, 2]) await prepareMetricsDatabase(database.url, { role, password: "it's a secret" });
    const url = new URL(database.url);
    [url.username, url.password] = [role, encodeURIComponent("it's a secret")];
    const writer = open(url.href);
    const containerId = 'd'.repeat(64);
    for (const _ of [1, 2]) await createRowStore(writer, () => NODE).insertRows([aRow({ containerId })]);
    expect(await readAll(containerId)).toHaveLength(1);
    for (const attempt of [
      writer.selectFrom('container_metrics').selectAll(),
      writer.updateTable('container_metrics').set({ cpu_nanos: 0 }),
      writer.deleteFrom('container_metrics'),
    ]) {
      await expect(attempt.execute()).rejects.toThrow('permission denied');
    }
    await sql`drop owned by ${sql.id(role)}`.execute(open());
    await sql`drop role ${sql.id(role)}`.execute(open());
  });

  it('says that a database which is away is worth a retry', async () => {
    const store = createRowStore(open('postgres://nobody@127.0.0.1:1/nothing'), () => NODE);
    await expect(store.insertRows([aRow()])).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  });
});

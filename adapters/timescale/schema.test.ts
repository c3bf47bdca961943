import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { adminUrlOfRun } from '../../test/support/database.ts';
import { createEmptyDatabase } from '../../test/support/postgres.ts';
import { openMetricsDatabase } from './metrics-database.ts';
import { migrateMetrics, prepareMetricsDatabase } from './migrate.ts';

it('takes over the rows of the table that was there before', async () => {
  const database = await createEmptyDatabase(adminUrlOfRun());
  const db = openMetricsDatabase(database.url);
  const first = await readFile(join(import.meta.dirname, 'migrations/0001_container_metrics.sql'), 'utf8');
  await sql.raw(first).execute(db);
  await sql`create table metrics_migrations (name varchar(255) primary key, timestamp varchar(255) not null)`.execute(
    db,
  );
  await sql`insert into metrics_migrations values ('0001_container_metrics', '2026-01-01T00:00:00.000Z')`.execute(db);
  await sql`
    insert into container_metrics
    select repeat('c', 64), date_trunc('minute', now()) - n * interval '1 day',
      '00000000-0000-4000-8000-000000000001', 'r1-0', 'node-1', n, 2, 3, 4, 5, 6, 7, 8
    from generate_series(1, 30) as n
  `.execute(db);
  await migrateMetrics(db);
  const rows = await db
    .selectFrom('container_metrics')
    .innerJoin('metric_series', 'metric_series.id', 'series_id')
    .select(['node_id', 'cpu_nanos', 'disk_write_bytes'])
    .orderBy('minute', 'desc')
    .execute();
  const due = await db.selectFrom('usage_due').selectAll().execute();
  await db.destroy();
  await database.drop();
  expect(rows).toHaveLength(30);
  expect(rows[0]).toEqual({ node_id: 'node-1', cpu_nanos: '1', disk_write_bytes: '7' });
  expect(due).toHaveLength(30);
});

it('gives the tables to the owner of the database, also those that an administrator made before', async () => {
  const database = await createEmptyDatabase(adminUrlOfRun());
  const suffix = randomUUID().slice(0, 8);
  const [owner, writer, reader] = [`owner_${suffix}`, `writer_${suffix}`, `reader_${suffix}`];
  const password = 'secret';
  const asRole = (role: string) => {
    const url = new URL(database.url);
    [url.username, url.password] = [role, password];
    return openMetricsDatabase(url.href);
  };
  const admin = openMetricsDatabase(database.url);
  const name = new URL(database.url).pathname.slice(1);
  await sql`create role ${sql.id(owner)} login password ${sql.lit(password)}`.execute(admin);
  await sql`alter database ${sql.id(name)} owner to ${sql.id(owner)}`.execute(admin);
  const first = await readFile(join(import.meta.dirname, 'migrations/0001_container_metrics.sql'), 'utf8');
  await sql.raw(first).execute(admin);
  await sql`create table metrics_migrations (name varchar(255) primary key, timestamp varchar(255) not null)`.execute(
    admin,
  );
  await sql`insert into metrics_migrations values ('0001_container_metrics', '2026-01-01T00:00:00.000Z')`.execute(
    admin,
  );
  for (const _ of [1, 2]) {
    await prepareMetricsDatabase(database.url, {
      writer: { role: writer, password },
      reader: { role: reader, password },
    });
  }
  const { rows } = await sql<{ owner: string }>`
    select distinct tableowner as owner from pg_tables where schemaname = 'public' and tablename ~ 'metric|usage'
  `.execute(admin);
  const [own, read] = [asRole(owner), asRole(reader)];
  await sql`delete from usage_hourly`.execute(own);
  const found = await read.selectFrom('container_metrics').selectAll().execute();
  await expect(sql`delete from usage_hourly`.execute(read)).rejects.toThrow('permission denied');
  await Promise.all([own.destroy(), read.destroy()]);
  await admin.destroy();
  await database.drop();
  expect({ rows, found }).toEqual({ rows: [{ owner }], found: [] });
});

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, describe, expect, it } from 'vitest';
import { adminUrlOfRun } from '../../test/support/database.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createEmptyDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';

/** Every migration that there is, in order. */
const MIGRATIONS = readdirSync(join(import.meta.dirname, 'migrations'))
  .map((file) => file.replace(/\.sql$/, ''))
  .sort();

const databases: TestDatabase[] = [];

afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop();
});

async function anEmptyDatabase(): Promise<string> {
  const database = await createEmptyDatabase(adminUrlOfRun());
  databases.push(database);
  return database.url;
}

/** Every column, constraint, index and trigger, in words. */
async function describeSchema(url: string): Promise<string[]> {
  const db = openDatabase({ url });
  const { rows } = await sql<{ line: string }>`
    SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS line
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY line`.execute(db);
  await db.destroy();
  return rows.map((row) => row.line);
}

describe('migrations', () => {
  it('run once, and then there is nothing to do', async () => {
    const url = await anEmptyDatabase();
    expect(await migrate(url)).toEqual(MIGRATIONS);
    expect(await migrate(url)).toEqual([]);
  });

  it('run once when five processes start at the same time', async () => {
    const clean = await anEmptyDatabase();
    await migrate(clean);
    const url = await anEmptyDatabase();
    const ran = await Promise.all([1, 2, 3, 4, 5].map(() => migrate(url)));
    expect(ran.flat()).toEqual(MIGRATIONS);
    expect(await describeSchema(url)).toEqual(await describeSchema(clean));
  });

  it('leave nothing half done when their process is killed, and run again', async () => {
    const clean = await anEmptyDatabase();
    await migrate(clean);
    const url = await anEmptyDatabase();
    const folder = await mkdtemp(join(tmpdir(), 'obiente-migrations-'));
    const control = join(import.meta.dirname, 'migrations/0001_control.sql');
    await copyFile(control, join(folder, '0001_control.sql'));
    await writeFile(join(folder, '0002_slow.sql'), 'CREATE TABLE half_done (id int); SELECT pg_sleep(3600);');
    const module = join(import.meta.dirname, 'migrate.ts');
    const script = `import { migrate } from ${JSON.stringify(module)}; await migrate(process.env.URL, process.env.FOLDER);`;
    const args = ['--input-type=module', '--eval', script];
    const migrating = spawn(process.execPath, args, { env: { ...process.env, URL: url, FOLDER: folder } });

    const db = openDatabase({ url });
    await eventually(async () => {
      const { rows } = await sql`SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%'
        AND datname = current_database() AND pid <> pg_backend_pid()`.execute(db);
      expect(rows).toHaveLength(1);
    });
    migrating.kill('SIGKILL');
    await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`.execute(db);
    await db.destroy();
    await rm(folder, { recursive: true });

    expect(await migrate(url)).toEqual(MIGRATIONS);
    expect(await describeSchema(url)).toEqual(await describeSchema(clean));
  });

  it('say what is wrong with them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'obiente-migrations-'));
    await writeFile(join(folder, '0001_wrong.sql'), 'CREATE TABLE things (id int); SELECT nonsense;');
    const url = await anEmptyDatabase();
    await expect(migrate(url, folder)).rejects.toThrow(/nonsense/);
    expect((await describeSchema(url)).filter((line) => line.startsWith('things'))).toEqual([]);
    await rm(folder, { recursive: true });
  });
});

describe('the table types', () => {
  it('name every column that there is, with the type that it has', async () => {
    const url = await anEmptyDatabase();
    await migrate(url);
    const db = openDatabase({ url });
    const { rows } = await sql<{ table: string; column: string; type: string; nullable: boolean }>`
      SELECT table_name AS "table", column_name AS "column", udt_name AS type, is_nullable = 'YES' AS nullable
      FROM information_schema.columns
      WHERE table_schema = 'public' AND table_name NOT LIKE 'schema_migrations%'
        -- The tables of metrics have types of their own, in adapters/timescale.
        AND table_name !~ '^(metric_|metrics_migrations|(container|node|request)_metrics|usage_)'`.execute(db);
    await db.destroy();
    const real = rows.map(({ table, column, type, nullable }) => {
      return `${table}.${column}: ${TYPES[type] ?? type}${nullable ? ' | null' : ''}`;
    });
    expect(await declaredColumns()).toEqual(real.sort());
  });
});

const TYPES: Record<string, string> = {
  uuid: 'string',
  text: 'string',
  xid8: 'string',
  int4: 'number',
  int8: 'number',
  float8: 'number',
  bool: 'boolean',
  timestamptz: 'Date',
  jsonb: 'json',
};

/** What `schema.ts` and its parts declare, read from their text since types are gone at run time. */
async function declaredColumns(): Promise<string[]> {
  const files = readdirSync(import.meta.dirname).filter((file) => /^schema(-\w+)?\.ts$/.test(file));
  const parts = [...files, 'retention/schema.ts'];
  const texts = await Promise.all(parts.map((file) => readFile(join(import.meta.dirname, file), 'utf8')));
  const body = texts.map((text) => text.split(/^export interface (?:\w*Schema|\w+Tables)\b/m)[1] ?? '').join('\n');
  return [...body.matchAll(/^ {2}(\w+): \{([^}]*)\}/gm)]
    .flatMap(([, table, columns = '']) =>
      [...columns.matchAll(/^ {4}(\w+): (.+);$/gm)].map(
        ([, column, type = '']) => `${table}.${column}: ${plain(type)}`,
      ),
    )
    .sort();
}

function plain(type: string): string {
  const [, wrapper, inner] = /^(\w+)<(.+)>$/.exec(type) ?? [];
  if (wrapper === 'Optional') return `${plain(inner ?? '')} | null`;
  if (wrapper === 'Json') return 'json';
  if (wrapper === 'OptionalJson') return 'json | null';
  if (wrapper) return plain(inner ?? '');
  if (type === 'Moment') return 'Date';
  return ['string', 'number', 'boolean', 'Date'].includes(type) ? type : 'string';
}

import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { type Database, openDatabase } from './database.ts';

let server: TestPostgres;
let db: Database;

beforeAll(async () => {
  server = await startPostgres();
  db = openDatabase({ url: server.adminUrl, maxConnections: 2, statementTimeoutMs: 300 });
});

afterAll(async () => {
  await db.destroy();
  await server.stop();
});

const unavailable = expect.objectContaining({ code: 'DATABASE_UNAVAILABLE', message: 'the database does not answer' });

describe('the database', () => {
  it('reads 64-bit numbers as numbers', async () => {
    const { rows } = await sql<{ big: number }>`SELECT 9007199254740991::bigint AS big`.execute(db);
    expect(rows).toEqual([{ big: Number.MAX_SAFE_INTEGER }]);
  });

  it('gives a statement up that takes longer than it may', async () => {
    await expect(sql`SELECT pg_sleep(60)`.execute(db)).rejects.toEqual(unavailable);
    await expect(sql`SELECT 1 AS one`.execute(db)).resolves.toMatchObject({ rows: [{ one: 1 }] });
  });

  it('answers again after its server crashed under a transaction', async () => {
    const crashed = db.transaction().execute(async (tx) => {
      await sql`SELECT 1`.execute(tx);
      await server.crash();
      await sql`SELECT 1`.execute(tx);
    });
    await expect(crashed).rejects.toEqual(unavailable);
    await expect(sql`SELECT 1 AS one`.execute(db)).resolves.toMatchObject({ rows: [{ one: 1 }] });
  });

  it('says who refuses when nobody listens, without a word of the address', async () => {
    const nobody = openDatabase({ url: 'postgres://user:secret-password@127.0.0.1:1/none' });
    const refused = sql`SELECT 1`.execute(nobody);
    await expect(refused).rejects.toEqual(unavailable);
    await refused.catch((error: Error) => expect(error.message).not.toContain('secret'));
    await nobody.destroy();
  });

  it('leaves errors of a statement as they are', async () => {
    await expect(sql`SELECT nonsense`.execute(db)).rejects.toMatchObject({ code: '42703' });
  });

  it('never gives the answer of a statement that was given up to the next one', async () => {
    const one = openDatabase({ url: server.adminUrl, maxConnections: 1, statementTimeoutMs: 100 });
    const stuck = one.connection().execute(async (connection) => {
      await sql`SET statement_timeout = 0`.execute(connection);
      await sql`SELECT pg_sleep(3), 'stuck' AS answer`.execute(connection);
    });
    await expect(stuck).rejects.toEqual(unavailable);
    await expect(sql`SELECT 'next' AS answer`.execute(one)).resolves.toMatchObject({ rows: [{ answer: 'next' }] });
    await one.destroy();
  });
});

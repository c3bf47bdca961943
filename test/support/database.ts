import { afterAll, beforeAll, inject } from 'vitest';
import { type Database, openDatabase } from '../../adapters/postgres/database.ts';
import { createTestDatabase, type TestDatabase } from './postgres.ts';

/** A migrated database of the test file that asks for it. */
export interface DatabaseForTests {
  /** Ready from `beforeAll` on, like `url`. */
  readonly db: Database;
  readonly url: string;
}

/** Gives a test file a database of its own on the run's server, from its first test to its last. */
export function useTestDatabase(): DatabaseForTests {
  let opened: { database: TestDatabase; db: Database } | undefined;
  beforeAll(async () => {
    const database = await createTestDatabase(adminUrlOfRun());
    opened = { database, db: openDatabase({ url: database.url, maxConnections: 20 }) };
  });
  afterAll(async () => {
    await opened?.db.destroy();
    await opened?.database.drop();
  });
  const ready = () => {
    if (!opened) throw new Error('the test database is there from beforeAll on');
    return opened;
  };
  return {
    get db() {
      return ready().db;
    },
    get url() {
      return ready().database.url;
    },
  };
}

/** The server of this run, from the project's `globalSetup`. */
export function adminUrlOfRun(): string {
  const url = inject('postgresUrl');
  if (url === undefined) throw new Error('this test belongs to a project with test/support/postgres.ts as globalSetup');
  return url;
}

import { expect, it } from 'vitest';
import { adminUrlOfRun } from '../../test/support/database.ts';
import { aRow, describeMetricsStorage, NODE } from '../../test/support/metrics-storage.ts';
import { describeMetricsUpkeep } from '../../test/support/metrics-upkeep.ts';
import { createEmptyDatabase } from '../../test/support/postgres.ts';
import { openMetricsDatabase } from './metrics-database.ts';
import { createRowStore } from './row-store.ts';

const create = () => createEmptyDatabase(adminUrlOfRun());
describeMetricsStorage('PostgreSQL', 'plain', create);
describeMetricsUpkeep('PostgreSQL', create);

it('says that a database which is away is worth a retry', async () => {
  const db = openMetricsDatabase('postgres://nobody@127.0.0.1:1/nothing');
  const store = createRowStore(db, () => NODE);
  const unavailable = { code: 'DATABASE_UNAVAILABLE' };
  await expect(store.insertRows({ kind: 'container', rows: [aRow()] })).rejects.toMatchObject(unavailable);
  await expect(store.probe()).rejects.toMatchObject(unavailable);
  await db.destroy();
});

import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { useTestDatabase } from '../../test/support/database.ts';
import { createRebalanceRecords, findRebalance } from './rebalances.ts';

const database = useTestDatabase();

beforeEach(async () => {
  await database.db.deleteFrom('rebalances').execute();
});

const aRebalance = () => ({ rebalanceId: randomUUID(), actorUserId: randomUUID(), planned: 2 });

describe('the record of a rebalance', () => {
  it('says how far it is, and ends once', async () => {
    const records = createRebalanceRecords(database.db);
    const begun = aRebalance();
    await records.beginRebalance(begun);
    await records.recordEnded({ ...begun, ended: 1 });
    await records.beginRebalance(begun);
    expect(await findRebalance(database.db)).toMatchObject({
      state: 'running',
      planned: 2,
      ended: 1,
      finishedAt: null,
    });
    const operationIds = [randomUUID(), randomUUID()];
    await records.endRebalance({ ...begun, state: 'done', operationIds });
    await records.endRebalance({ ...begun, state: 'stopped', operationIds: [] });
    expect(await findRebalance(database.db)).toMatchObject({ state: 'done', ended: 2, moved: 0 });
  });

  it('counts one that a dead workflow left open as stopped', async () => {
    const records = createRebalanceRecords(database.db);
    const [left, begun] = [aRebalance(), aRebalance()];
    await records.beginRebalance(left);
    await records.beginRebalance(begun);
    expect(await findRebalance(database.db)).toMatchObject({ id: begun.rebalanceId, state: 'running' });
    const rows = await database.db.selectFrom('rebalances').select(['id', 'state']).orderBy('sequence').execute();
    expect(rows).toEqual([
      { id: left.rebalanceId, state: 'stopped' },
      { id: begun.rebalanceId, state: 'running' },
    ]);
  });

  it('keeps the newest hundred', async () => {
    const records = createRebalanceRecords(database.db);
    for (let index = 0; index < 103; index += 1) await records.beginRebalance(aRebalance());
    const { count } = await database.db
      .selectFrom('rebalances')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    expect(count).toBe(100);
  });
});

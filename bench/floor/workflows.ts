import { condition, defineUpdate, proxyLocalActivities, setHandler } from '@temporalio/workflow';

/** What the floor's one activity does. */
export interface FloorActivities {
  insertRow(): Promise<void>;
}

const { insertRow } = proxyLocalActivities<FloorActivities>({ startToCloseTimeout: '5s' });

/** An entity of whose updates each stores one row and answers then; it ends after its first. */
export async function storesOneRow(): Promise<void> {
  let isStored = false;
  setHandler(defineUpdate<void>('store'), async () => {
    await insertRow();
    isStored = true;
  });
  await condition(() => isStored);
}

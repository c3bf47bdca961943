import { beforeEach, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import { KEPT_FAILURE_LOG } from '../../domain/failure-log.ts';
import { aDeployRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { type FailureLine, keepFailureLog, listFailureLogs } from './failure-logs.ts';

const database = useTestDatabase();

let store: StoreActivities;
let nodeId: string;
beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  nodeId = await aReadyNode(database.db);
});

const printed = (...texts: string[]): FailureLine[] =>
  texts.map((text, index) => ({ atMs: 1_000 + index, stream: index === 0 ? 'stdout' : 'stderr', text }));

/** A deployment whose first replica is starting. */
async function aRollout() {
  const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 1 }) });
  const { deploymentId, organizationId, projectId } = creation;
  const begin = async ({ operationId }: { operationId: string }) => {
    await store.beginRollout({ deploymentId, operationId });
    return operationId;
  };
  const fail = async (operationId: string) => {
    const failure = { code: 'REPLICA_EXITED', message: 'exited', hint: '' };
    await store.failOperation({ deploymentId, operationId, failure });
  };
  const again = async () => {
    const request = { ...aDeployRequest({ spec: aSpec({ replicas: 1 }) }), createAs: null };
    return await begin(await store.storeOperation({ deploymentId, organizationId, projectId, request }));
  };
  const first = await begin(await store.storeOperation(creation));
  return { deploymentId, first, fail, again };
}

it('of a replica that was given up is kept once, as the last attempt tells it', async () => {
  const { deploymentId, first } = await aRollout();
  const report = { nodeId, epoch: 0, deploymentId, replicaId: 'r1-0', shortened: true };
  await keepFailureLog(database.db, { ...report, lines: printed('earlier') });
  await keepFailureLog(database.db, { ...report, lines: printed('one', 'two \0 three') });
  expect(await listFailureLogs(database.db, deploymentId)).toEqual([
    {
      ...{ operationId: first, replicaId: 'r1-0', service: 'app', revision: 1, shortened: true },
      ...{ failedAt: expect.any(Date), lines: printed('one', 'two  three') },
    },
  ]);
});

it('is heard from the node that runs the replica, and from no other', async () => {
  const { deploymentId } = await aRollout();
  const other = await aReadyNode(database.db);
  for (const wrong of [{ nodeId: other }, { replicaId: 'r9-0' }]) {
    const report = {
      nodeId,
      epoch: 0,
      deploymentId,
      replicaId: 'r1-0',
      shortened: false,
      lines: printed('x'),
      ...wrong,
    };
    await expect(keepFailureLog(database.db, report)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }
  expect(await listFailureLogs(database.db, deploymentId)).toEqual([]);
});

it('goes when newer ones come, and with its deployment', async () => {
  const { deploymentId, first, fail, again } = await aRollout();
  let operationId = first;
  const all: string[] = [];
  for (let revision = 1; revision <= KEPT_FAILURE_LOG.perDeployment + 2; revision += 1) {
    const report = { nodeId, epoch: 0, deploymentId, replicaId: `r${revision}-0`, shortened: false };
    await keepFailureLog(database.db, { ...report, lines: printed(`of ${revision}`) });
    all.unshift(operationId);
    await fail(operationId);
    operationId = await again();
  }
  const kept = await listFailureLogs(database.db, deploymentId);
  expect(kept.map((log) => log.operationId)).toEqual(all.slice(0, KEPT_FAILURE_LOG.perDeployment));
  expect(kept[0]?.lines).toEqual(printed('of 7'));
  await database.db.deleteFrom('deployments').where('id', '=', deploymentId).execute();
  expect(await listFailureLogs(database.db, deploymentId)).toEqual([]);
});

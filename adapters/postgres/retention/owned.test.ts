import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { OrphanRecord } from '../../../contracts/orphans.ts';
import { aCreation, aReadyNode, aTenant, withoutNodes } from '../../../test/support/control-data.ts';
import { useTestDatabase } from '../../../test/support/database.ts';
import { createDeploymentStore } from '../deployment-store.ts';
import { listOrphans, recordOrphans } from './orphan-records.ts';
import { findOwned } from './owned.ts';
import { beginRun } from './runs.ts';

const database = useTestDatabase();

let number = 0;
function anId(): string {
  number += 1;
  return number.toString(16).padStart(64, '0');
}

it('owns what has a row on that node, or is to be removed there; networks by any replica of theirs', async () => {
  const { db } = database;
  await withoutNodes(db);
  const nodeId = await aReadyNode(db);
  const store = createDeploymentStore(db, {
    domain: 'example.test',
    placement: { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 4 },
  });
  const tenant = await aTenant(db);
  const creation = aCreation(tenant);
  const { deploymentId } = creation;
  const { operationId } = await store.storeOperation(creation);
  await store.beginRollout({ deploymentId, operationId });
  const otherNode = await aReadyNode(db);
  const [gone, strange] = [randomUUID(), randomUUID()];
  const doomed = { node_id: nodeId, deployment_id: gone, project_id: tenant.projectId };
  await db
    .insertInto('doomed_replicas')
    .values({ ...doomed, revision: 2, index: 1 })
    .execute();

  const things = {
    recorded: { id: anId(), ownerId: deploymentId, replicaId: 'r1-0' },
    inCapitals: { id: anId(), ownerId: deploymentId.toUpperCase(), replicaId: 'r1-0' },
    earlier: { id: anId(), ownerId: deploymentId, replicaId: 'r1-7' },
    doomed: { id: anId(), ownerId: gone, replicaId: 'r2-1' },
    strange: { id: anId(), ownerId: strange, replicaId: 'r1-0' },
    ofProject: { id: anId(), ownerId: tenant.projectId, replicaId: '' },
    ofDeployment: { id: anId(), ownerId: deploymentId, replicaId: '' },
    ofNobody: { id: anId(), ownerId: strange, replicaId: '' },
  };
  const ownedOn = async (node: string): Promise<string[]> => {
    const owned = await findOwned(db, { nodeId: node, things: Object.values(things) });
    return Object.entries(things).flatMap(([name, { id }]) => (owned.has(id) ? [name] : []));
  };
  expect(await ownedOn(nodeId)).toEqual(['recorded', 'inCapitals', 'doomed', 'ofProject', 'ofDeployment']);
  expect(await ownedOn(otherNode)).toEqual([]);
  expect(await findOwned(db, { nodeId, things: [] })).toEqual(new Set());
});

it('keeps what was decided about each thing of a run, and then what became of it', async () => {
  const { db } = database;
  const runId = randomUUID();
  await beginRun(db, { runId, isDryRun: false, actorUserId: null });
  const [one, other] = [anId(), anId()];
  const decided = (id: string): OrphanRecord => {
    return { kind: 'container', id, name: `of ${id}`, nodeId: 'node-a', outcome: 'decided', reason: '' };
  };
  await recordOrphans(db, { runId, orphans: [decided(one), decided(other)] });
  await recordOrphans(db, { runId, orphans: [decided(one), decided(other)] });
  expect(await listOrphans(db, runId)).toEqual([decided(one), decided(other)]);
  const became: OrphanRecord[] = [
    { ...decided(one), outcome: 'removed' },
    { ...decided(other), outcome: 'spared', reason: 'a record has come for it' },
  ];
  await recordOrphans(db, { runId, orphans: became });
  expect(await listOrphans(db, runId)).toEqual(became);
  await recordOrphans(db, { runId, orphans: [] });
});

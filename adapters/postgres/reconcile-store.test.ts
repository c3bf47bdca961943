import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { ReconcileStore } from '../../contracts/reconcile.ts';
import type { Finding } from '../../domain/reconcile.ts';
import { assess } from '../../domain/rollout-goal.ts';
import { aRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aStarted, aTenant, rollOut, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findDeployment } from './deployments.ts';
import { listEvents } from './events.ts';
import { createReconcileStore } from './reconcile-store.ts';

const database = useTestDatabase();

let store: StoreActivities;
let records: ReconcileStore;
let nodeId: string;
let creation: ReturnType<typeof aCreation>;

beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  records = createReconcileStore(database.db);
  nodeId = await aReadyNode(database.db);
  creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 2 }) });
  await rollOut(store, creation.deploymentId, await store.storeOperation(creation));
});

const gone = (replicaId: string): Finding => ({
  ...{ kind: 'gone', deploymentId: creation.deploymentId, replicaId },
  containerId: aStarted(replicaId).containerId,
});
const stranger = (containerId: string): Finding => ({ kind: 'forged', containerId, name: 'x', reason: 'its name' });

/** An operation that heals, stored. */
async function aHeal() {
  const { deploymentId } = creation;
  const request = aRequest({ kind: 'heal' } as const);
  return { deploymentId, ...(await store.storeOperation({ ...creation, request })) };
}

describe('what is recorded of a node', () => {
  it('is read with full ids, what is doomed there, and what was reported', async () => {
    const { deploymentId } = creation;
    await records.recordFindings({ nodeId, findings: [stranger('f'.repeat(64))] });
    const project = { deployment_id: deploymentId, project_id: creation.projectId };
    const doomed = { node_id: nodeId, revision: 7, index: 3, ...project };
    await database.db.insertInto('doomed_replicas').values(doomed).execute();
    expect(await records.readRecorded({ nodeId })).toEqual({
      recorded: ['r1-0', 'r1-1'].map((replicaId) => ({
        ...{ deploymentId, replicaId, containerId: aStarted(replicaId).containerId, serving: true },
      })),
      doomed: [{ deploymentId, replicaId: 'r7-3' }],
      reported: ['f'.repeat(64)],
    });
  });

  it('is asked for of nodes that answer only, page by page', async () => {
    const lost = await aReadyNode(database.db);
    await database.db.updateTable('nodes').set({ state: 'lost', reason: 'silent' }).where('id', '=', lost).execute();
    expect(await records.listReconcileNodes({ afterId: '' })).toEqual({ nodeIds: [nodeId], next: null });
    expect(await records.listReconcileNodes({ afterId: nodeId })).toEqual({ nodeIds: [], next: null });
  });
});

describe('a container that is gone', () => {
  it('is recorded once, and its deployment is to be healed', async () => {
    const { deploymentId } = creation;
    expect(await records.recordFindings({ nodeId, findings: [gone('r1-0')] })).toEqual([deploymentId]);
    expect(await records.recordFindings({ nodeId, findings: [gone('r1-0')] })).toEqual([deploymentId]);
    const found = await findDeployment(database.db, deploymentId);
    expect(found?.replicas).toMatchObject([
      { replicaId: 'r1-0', state: 'exited', gone: true },
      { replicaId: 'r1-1', state: 'healthy', gone: false },
    ]);
    const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 1000 });
    expect(events.filter(({ message }) => message === `container of r1-0 is gone from ${nodeId}`)).toHaveLength(1);
  });

  it('is replaced by the operation, alone of the replicas', async () => {
    await records.recordFindings({ nodeId, findings: [gone('r1-0')] });
    const heal = await aHeal();
    const plan = await store.beginRollout(heal);
    expect(plan.reserved).toMatchObject([{ replicaId: 'r1-2', nodeId }]);
    expect(plan.existing.map((one) => one.givenUp ?? false)).toEqual([true, false]);
    expect(plan.existing[0]).not.toHaveProperty('gone');
    const wanted = assess(plan.goal, plan.existing, plan).filter((one) => one.wanted);
    expect(wanted.map(({ replicaId }) => replicaId)).toEqual(['r1-1']);
  });

  it('asks for no second operation while one heals, nor soon after one has ended', async () => {
    const findings = [gone('r1-0')];
    await records.recordFindings({ nodeId, findings });
    const heal = await aHeal();
    expect(await records.recordFindings({ nodeId, findings })).toEqual([]);
    await store.beginRollout(heal);
    const failure = { code: 'INSUFFICIENT_CAPACITY', message: 'no room', hint: '' };
    await store.failOperation({ ...heal, failure });
    expect(await records.recordFindings({ nodeId, findings })).toEqual([]);
    const earlier = new Date(Date.now() - 10 * 60_000);
    const { operationId } = heal;
    await database.db.updateTable('operations').set({ finished_at: earlier }).where('id', '=', operationId).execute();
    expect(await records.recordFindings({ nodeId, findings })).toEqual([creation.deploymentId]);
  });

  it('is not, when another node says so or another container is meant', async () => {
    const other = await aReadyNode(database.db);
    expect(await records.recordFindings({ nodeId: other, findings: [gone('r1-0')] })).toEqual([]);
    const { deploymentId } = creation;
    const meant: Finding = { kind: 'gone', deploymentId, replicaId: 'r1-0', containerId: 'e'.repeat(64) };
    expect(await records.recordFindings({ nodeId, findings: [meant] })).toEqual([]);
    const found = await findDeployment(database.db, deploymentId);
    expect(found?.replicas.map((replica) => replica.state)).toEqual(['healthy', 'healthy']);
  });

  it('asks nothing of a deployment that is stopped', async () => {
    await database.db.updateTable('deployments').set({ stopped: true }).execute();
    expect(await records.recordFindings({ nodeId, findings: [gone('r1-0')] })).toEqual([]);
  });
});

describe('a stranger', () => {
  it('is kept once until it is cleared, and nothing else follows', async () => {
    const findings = [stranger('f'.repeat(64)), stranger('e'.repeat(64))];
    expect(await records.recordFindings({ nodeId, findings })).toEqual([]);
    expect(await records.recordFindings({ nodeId, findings })).toEqual([]);
    expect((await records.readRecorded({ nodeId })).reported).toEqual(['e'.repeat(64), 'f'.repeat(64)]);
    const cleared: Finding = { kind: 'cleared', containerId: 'e'.repeat(64) };
    await records.recordFindings({ nodeId, findings: [cleared] });
    expect((await records.readRecorded({ nodeId })).reported).toEqual(['f'.repeat(64)]);
    const { state } = (await findDeployment(database.db, creation.deploymentId))?.operation ?? {};
    expect(state).toBe('succeeded');
  });
});

describe('a deployment with fewer replicas than are wanted', () => {
  const lose = (replicaId: string) => database.db.deleteFrom('replicas').where('replica_id', '=', replicaId).execute();

  it('is asked for, unless somebody takes care of it, has just tried, or wants it so', async () => {
    const { deploymentId } = creation;
    expect(await records.listShort()).toEqual([]);
    await lose('r1-1');
    expect(await records.listShort()).toEqual([deploymentId]);
    const heal = await aHeal();
    expect(await records.listShort()).toEqual([]);
    await store.failOperation({ ...heal, failure: { code: 'NO_NODE_READY', message: 'no node', hint: '' } });
    expect(await records.listShort()).toEqual([]);
    const earlier = new Date(Date.now() - 6 * 60_000);
    await database.db
      .updateTable('operations')
      .set({ finished_at: earlier })
      .where('id', '=', heal.operationId)
      .execute();
    expect(await records.listShort()).toEqual([deploymentId]);
    await database.db.updateTable('deployments').set({ stopped: true }).where('id', '=', deploymentId).execute();
    expect(await records.listShort()).toEqual([]);
  });

  it('has them again after that', async () => {
    await lose('r1-1');
    const heal = await aHeal();
    const plan = await store.beginRollout(heal);
    expect(plan.reserved).toMatchObject([{ nodeId }]);
    expect(plan.existing).toMatchObject([{ replicaId: 'r1-0' }]);
  });
});

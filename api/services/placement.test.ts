import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setCordoned } from '../../adapters/postgres/nodes.ts';
import { createRebalanceRecords } from '../../adapters/postgres/rebalances.ts';
import { PlacementService, RebalanceState } from '../../gen/obiente/cloud/v1/placement_pb.ts';
import { type DeploymentSpecSchema, LostVolumesPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { aReadyNode, rollOut } from '../../test/support/control-data.ts';
import { refusalOf } from '../../test/support/refusal.ts';

const GIB = 1024 ** 3;
const NODES = ['node-0000000a', 'node-0000000b', 'node-0000000c'];

type Spec = MessageInitShape<typeof DeploymentSpecSchema>;

let rig: ApiRig;
let alice: Awaited<ReturnType<ApiRig['user']>>;

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  for (const nodeId of NODES) await aReadyNode(rig.db, { nodeId, memoryBytes: 2 * GIB });
});
afterAll(() => rig.stop());

/** A deployment that runs. @returns its id, and the nodes of its replicas. */
async function aRunning(name: string, spec: Spec = {}) {
  const { deployment } = await alice.deployments.createDeployment({
    ...{ idempotencyKey: randomUUID(), projectId: alice.projectId, name },
    spec: { source: { case: 'image', value: { reference: 'nginx:1' } }, port: 8080, ...spec } as Spec,
  });
  const deploymentId = deployment?.id ?? '';
  const plan = await rollOut(rig.store, deploymentId, { operationId: deployment?.operation?.id ?? '' });
  return { deploymentId, nodes: plan.reserved.map(({ nodeId }) => nodeId) };
}

describe('a plan that fills the nodes more evenly', () => {
  it('is carried out for an operator, and followed; nothing begins where there is nothing to move', async () => {
    const refused = rig.clientOf(PlacementService, 'alice').applyRebalance({});
    expect(await refusalOf(refused)).toMatchObject({ code: 'PermissionDenied' });
    const operator = rig.clientOf(PlacementService, OPERATOR);
    expect(await refusalOf(operator.watchRebalance({}))).toMatchObject({ code: 'NotFound' });
    expect((await operator.applyRebalance({})).rebalance).toBeUndefined();
    const limits = { cpuCores: 1, memoryBytes: BigInt(GIB / 2) };
    for (const nodeId of NODES.slice(1)) await setCordoned(rig.db, nodeId, true);
    const running = [await aRunning('left', { limits }), await aRunning('right', { limits })];
    for (const nodeId of NODES) await setCordoned(rig.db, nodeId, false);
    const { plan, rebalance } = await operator.applyRebalance({});
    expect(plan?.moves).toMatchObject([{ fromNodeId: NODES[0] }]);
    expect(rebalance).toMatchObject({ state: RebalanceState.RUNNING, planned: 1, ended: 0 });
    const records = createRebalanceRecords(rig.db);
    for await (const message of operator.watchRebalance({})) {
      if (message.rebalance?.state !== RebalanceState.RUNNING) break;
      await records.endRebalance({ rebalanceId: message.rebalance.id, state: 'stopped', operationIds: [] });
    }
    expect((await operator.stopRebalance({})).rebalance).toMatchObject({ state: RebalanceState.STOPPED, moved: 0 });
    for (const { deploymentId } of running) {
      await alice.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId });
      await rig.db.deleteFrom('replicas').where('deployment_id', '=', deploymentId).execute();
    }
  });
});

describe('where replicas of a built image would go', () => {
  it('leaves out nodes of another architecture than the one that it was built for', async () => {
    const source = {
      case: 'git',
      value: { url: 'https://git.example.test/acme/shop.git', ref: 'main', dockerfilePath: 'Dockerfile' },
    };
    const { deployment } = await alice.deployments.createDeployment({
      ...{ idempotencyKey: randomUUID(), projectId: alice.projectId, name: 'built', spec: { source } as Spec },
    });
    const deploymentId = deployment?.id ?? '';
    const ref = { deploymentId, operationId: deployment?.operation?.id ?? '' };
    const { reserved } = await rig.store.beginRollout(ref);
    const imageId = `sha256:${'b'.repeat(64)}`;
    await rig.store.recordBuild({ ...ref, service: 'app', revision: 1, imageId });
    const other = NODES.find((nodeId) => nodeId !== reserved[0]?.nodeId) ?? '';
    await rig.db.updateTable('nodes').set({ architecture: 'arm64' }).where('id', '=', other).execute();
    const { nodes } = await rig.clientOf(PlacementService, 'alice').explainPlacement({ deploymentId, replicas: 1 });
    expect(nodes.find(({ nodeId }) => nodeId === other)).toMatchObject({
      replicas: 0,
      barred: 'is arm64, and its image is built for amd64',
    });
    await rig.db.updateTable('nodes').set({ architecture: 'amd64' }).where('id', '=', other).execute();
    await alice.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId });
    await rig.db.deleteFrom('replicas').where('deployment_id', '=', deploymentId).execute();
  });
});

describe('where replicas would go', () => {
  it('is told without anything being reserved, and told again where they then go', async () => {
    const limits = { cpuCores: 1, memoryBytes: BigInt(GIB) };
    const { deploymentId, nodes } = await aRunning('explained', { limits, placement: { maxReplicasPerNode: 1 } });
    expect(nodes).toEqual(['node-0000000a']);
    await setCordoned(rig.db, 'node-0000000c', true);
    const placement = rig.clientOf(PlacementService, 'alice');
    const answer = await placement.explainPlacement({ deploymentId, replicas: 1 });
    expect(answer).toMatchObject({
      refusal: '',
      nodes: [
        { nodeId: 'node-0000000a', replicas: 0, barred: 'has 1 of it, as many as it may' },
        { nodeId: 'node-0000000b', replicas: 1, fullness: 0.5, barred: '' },
        { nodeId: 'node-0000000c', replicas: 0, barred: 'cordoned' },
      ],
    });
    expect(await placement.explainPlacement({ deploymentId, replicas: 1 })).toEqual(answer);
    expect((await placement.explainPlacement({ deploymentId, replicas: 2 })).refusal).toMatch(
      /^cannot place 2 replicas of explained .*node-0000000b has 8?.*may have 1 more of it/,
    );
    await setCordoned(rig.db, 'node-0000000c', false);
    await alice.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId });
    await rig.db.deleteFrom('replicas').where('deployment_id', '=', deploymentId).execute();
  });

  it('is told to those only who may read the deployment, and names its services', async () => {
    const { deploymentId } = await aRunning('private');
    const mallory = await rig.user('mallory');
    expect(mallory.organizationId).not.toBe(alice.organizationId);
    const asked = { deploymentId, replicas: 1 };
    expect(await refusalOf(rig.clientOf(PlacementService, 'mallory').explainPlacement(asked))).toMatchObject({
      code: 'NotFound',
    });
    const placement = rig.clientOf(PlacementService, 'alice');
    expect(await refusalOf(placement.explainPlacement({ ...asked, service: 'db' }))).toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining('found "db"; allowed is app'),
    });
    expect(await refusalOf(placement.explainPlacement({ ...asked, replicas: 0 }))).toMatchObject({
      code: 'InvalidArgument',
    });
    await rig.db.deleteFrom('replicas').where('deployment_id', '=', deploymentId).execute();
  });
});

describe('the loss of a node', () => {
  it('is played through, each deployment after those before it have taken their room', async () => {
    const limits = { cpuCores: 0.5, memoryBytes: BigInt(1.5 * GIB) };
    const only = (nodeId: string) => ({ constraints: [`node.id==${nodeId}`] });
    const first = await aRunning('lost-free', { limits, placement: { constraints: ['node.id!=node-0000000b'] } });
    expect(first.nodes).toEqual(['node-0000000a']);
    const fills = await aRunning('fills', { limits, placement: only('node-0000000b') });
    const bound = await aRunning('lost-bound', { placement: only('node-0000000a') });
    const operator = rig.clientOf(PlacementService, OPERATOR);
    const { deployments } = await operator.simulateNodeLoss({ nodeId: 'node-0000000a' });
    const byName = new Map(deployments.map((one) => [one.name, one]));
    expect(byName.get('lost-free')).toMatchObject({
      nodes: [{ nodeId: 'node-0000000c', replicas: 1, fullness: 0.75 }],
      refusal: '',
    });
    expect(byName.get('lost-bound')?.refusal).toMatch(/node-0000000b is not node.id==node-0000000a/);
    expect(byName.has('fills')).toBe(false);
    for (const { deploymentId } of [first, fills, bound]) {
      expect((await alice.deployments.getDeployment({ deploymentId })).deployment?.replicas).toHaveLength(1);
    }
  });

  it('leaves waiting what has its volumes there, unless its policy says otherwise', async () => {
    const operator = rig.clientOf(PlacementService, OPERATOR);
    const limits = { cpuCores: 0.01, memoryBytes: BigInt(GIB / 64) };
    const mounting = (volume: string) => ({ limits, volumes: [{ volume, path: '/data', readOnly: false }] });
    for (const nodeId of NODES.slice(0, 2)) await setCordoned(rig.db, nodeId, true);
    await aRunning('lost-waits', mounting('kept'));
    await aRunning('lost-begins', { ...mounting('cached'), placement: { lostVolumes: LostVolumesPolicy.BEGIN_EMPTY } });
    for (const nodeId of NODES) await setCordoned(rig.db, nodeId, false);
    const { deployments } = await operator.simulateNodeLoss({ nodeId: 'node-0000000c' });
    const outcomes = new Map(deployments.map(({ name, nodes, refusal }) => [name, { nodes, refusal }]));
    expect(outcomes.get('lost-waits')).toMatchObject({
      nodes: [],
      refusal: 'lost-waits waits for node-0000000c: its volumes are there',
    });
    expect(outcomes.get('lost-begins')).toMatchObject({ nodes: [{ replicas: 1 }], refusal: '' });
  });

  it('is for operators of the platform, and of nodes that there are', async () => {
    const nodeId = 'node-0000000a';
    const refused = rig.clientOf(PlacementService, 'alice').simulateNodeLoss({ nodeId });
    expect(await refusalOf(refused)).toMatchObject({ code: 'PermissionDenied' });
    const unknown = rig.clientOf(PlacementService, OPERATOR).simulateNodeLoss({ nodeId: 'node-none' });
    expect(await refusalOf(unknown)).toMatchObject({ code: 'NotFound' });
  });
});

describe('a plan of moves', () => {
  const limits = { cpuCores: 0.5, memoryBytes: BigInt(GIB / 2) };
  /** Two replicas of each of two deployments on the first node, which then is full, and two nodes that are empty. */
  const twoRunning = async (spec: Spec = {}, of: (other: string) => Spec = () => ({})) => {
    await rig.db.deleteFrom('replicas').execute();
    for (const nodeId of NODES.slice(1)) await setCordoned(rig.db, nodeId, true);
    const name = `other-${randomUUID().slice(0, 8)}`;
    const other = await aRunning(name, { limits, replicas: 2, ...spec } as Spec);
    const free = await aRunning(`free-${randomUUID().slice(0, 8)}`, {
      limits,
      replicas: 2,
      ...spec,
      ...of(name),
    } as Spec);
    for (const nodeId of NODES) await setCordoned(rig.db, nodeId, false);
    await rig.db.updateTable('replicas').set({ state: 'healthy' }).execute();
    return [free.deploymentId, other.deploymentId];
  };
  const plan = (maxMoves = 0) => rig.clientOf(PlacementService, OPERATOR).planRebalance({ maxMoves });

  it('brings the shares closer together, and says so before and after', async () => {
    const ids = await twoRunning();
    const answer = await plan();
    expect(answer).toMatchObject({ readyNodes: 3, more: false });
    expect(answer.before).toMatchObject({ emptiest: 0, fullest: 1 });
    expect(answer.after).toMatchObject({ emptiest: 0.25, fullest: 0.5 });
    expect(answer.moves.map(({ replicas }) => replicas)).toEqual([1, 1]);
    expect(ids).toEqual(expect.arrayContaining(answer.moves.map(({ deploymentId }) => deploymentId)));
    expect(answer.moves[0]).toMatchObject({
      ...{ fromNodeId: 'node-0000000a', toNodeId: 'node-0000000b', whole: false },
      why: 'node-0000000a is 100 % full and node-0000000b 0 %, then 75 % and 25 %',
    });
    expect(answer.nodes.map(({ nodeId, before, after }) => [nodeId, before, after])).toEqual([
      ['node-0000000a', 1, 0.5],
      ['node-0000000b', 0, 0.25],
      ['node-0000000c', 0, 0.25],
    ]);
    expect(await plan()).toEqual(answer);
  });

  it('is cut at so many moves, and says that there is more', async () => {
    await twoRunning();
    const cut = await plan(1);
    expect(cut.moves).toHaveLength(1);
    expect(cut.more).toBe(true);
    expect(await refusalOf(plan(201))).toMatchObject({ code: 'InvalidArgument' });
  });

  it('moves nothing that has a volume, is not well, or has an operation under way', async () => {
    const [free = '', other = ''] = await twoRunning();
    const moved = async () => new Set((await plan()).moves.map(({ deploymentId }) => deploymentId));
    await rig.db.updateTable('replicas').set({ state: 'unhealthy' }).where('deployment_id', '=', free).execute();
    expect(await moved()).toEqual(new Set([other]));
    await alice.deployments.restartDeployment({ idempotencyKey: randomUUID(), deploymentId: other });
    expect(await moved()).toEqual(new Set());
    await rig.db.updateTable('replicas').set({ state: 'healthy' }).where('deployment_id', '=', free).execute();
    expect(await moved()).toEqual(new Set([free]));
    await twoRunning({ volumes: [{ volume: 'data', path: '/data', readOnly: true }] });
    expect(await moved()).toEqual(new Set());
  });

  it('keeps what was built on its kind of node, and near what it is to be near', async () => {
    const [, other] = await twoRunning({}, (name) => ({ placement: { near: name } }));
    expect((await plan(1)).moves[0]?.deploymentId).toBe(other);
    const repository = { url: 'https://git.test/app.git', ref: 'a'.repeat(40), dockerfilePath: 'Dockerfile' };
    await twoRunning({ source: { case: 'git', value: repository } });
    expect((await plan()).moves).toHaveLength(2);
    await rig.db.updateTable('nodes').set({ architecture: 'arm64' }).where('id', '!=', 'node-0000000a').execute();
    expect((await plan()).moves).toEqual([]);
    await rig.db.updateTable('nodes').set({ architecture: 'amd64' }).execute();
  });

  it('is for operators of the platform', async () => {
    expect(await refusalOf(rig.clientOf(PlacementService, 'alice').planRebalance({}))).toMatchObject({
      code: 'PermissionDenied',
    });
  });
});

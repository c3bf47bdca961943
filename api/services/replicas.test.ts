import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportReplicas } from '../../adapters/postgres/replica-reports.ts';
import { ReplicaState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { NodeState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import {
  type LocatedReplica,
  ReplicasService,
  StrangerKind,
  type WatchReplicasRequestSchema,
  type WatchReplicasResponse,
} from '../../gen/obiente/cloud/v1/replicas_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { aReadyNode, aStarted, rollOut } from '../../test/support/control-data.ts';
import { refusalOf } from '../../test/support/refusal.ts';

const NODE = 'node-0000000a';

let rig: ApiRig;
let alice: Awaited<ReturnType<ApiRig['user']>>;
let mallory: Awaited<ReturnType<ApiRig['user']>>;

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  mallory = await rig.user('mallory');
  await rig.user(OPERATOR);
  await aReadyNode(rig.db, { nodeId: NODE });
});
afterAll(() => rig.stop());

const replicasOf = (name: string) => rig.clientOf(ReplicasService, name);

/** A deployment that runs. @returns its id and its hostname. */
async function aRunning(user: typeof alice, replicas = 1) {
  const name = `app-${randomUUID().slice(0, 8)}`;
  const { deployment } = await user.deployments.createDeployment({
    ...{ idempotencyKey: randomUUID(), projectId: user.projectId, name },
    spec: { source: { case: 'image', value: { reference: 'nginx:1' } }, port: 8080, replicas },
  });
  const deploymentId = deployment?.id ?? '';
  await rollOut(rig.store, deploymentId, { operationId: deployment?.operation?.id ?? '' });
  return { deploymentId, name, hostname: `${name}.localhost` };
}

/** Takes a deployment away with its replicas. */
async function remove(deploymentId: string): Promise<void> {
  await rig.db.deleteFrom('deployments').where('id', '=', deploymentId).execute();
}

/** What its node says of a replica. */
async function report(deploymentId: string, state: 'unhealthy' | 'exited' | 'healthy'): Promise<void> {
  const { containerId } = aStarted('r1-0');
  const observed = { deploymentId, revision: 1, replicaId: 'r1-0', containerId, state, exitCode: null };
  const restarts = { healthReason: '', outOfMemory: false, restarts: 0, restartStreak: 0, nextRestartAt: null };
  const report = { ...observed, ...restarts, hostPort: 32_768, startedAt: null };
  await reportReplicas(rig.db, { nodeId: NODE, replicas: [report], complete: false });
}

const idsOf = (replicas: readonly LocatedReplica[]) => replicas.map((one) => `${one.deploymentId} ${one.replica?.id}`);

describe('where replicas are', () => {
  it('is told with node, address, container, state and since when', async () => {
    const { deploymentId, name } = await aRunning(alice);
    const { organizationId, projectId } = alice;
    const { replicas } = await replicasOf('alice').listReplicas({ organizationId, deploymentId });
    expect(replicas).toMatchObject([
      {
        ...{ deploymentId, deploymentName: name, organizationId, projectId, serving: true },
        node: { id: NODE, hostname: NODE, state: NodeState.READY },
        replica: {
          ...{ id: 'r1-0', service: 'app', revision: 1, nodeId: NODE, state: ReplicaState.HEALTHY },
          ...{ address: '127.0.0.1:32768', containerId: aStarted('r1-0').containerId },
        },
      },
    ]);
    const since = replicas[0]?.stateSince;
    await report(deploymentId, 'unhealthy');
    const later = await replicasOf('alice').listReplicas({ organizationId, deploymentId });
    expect(later.replicas[0]?.replica?.state).toBe(ReplicaState.UNHEALTHY);
    expect(later.replicas[0]?.stateSince).not.toEqual(since);
  });

  it('is found by deployment, node, hostname and state, and by all of them at once', async () => {
    const [one, other] = [await aRunning(alice, 2), await aRunning(alice)];
    await report(one.deploymentId, 'unhealthy');
    const { organizationId } = alice;
    const find = async (filter: object) => {
      const { replicas } = await replicasOf('alice').listReplicas({ organizationId, ...filter });
      return idsOf(replicas).filter((id) => id.includes(one.deploymentId) || id.includes(other.deploymentId));
    };
    const [first, second, third] = [
      `${one.deploymentId} r1-0`,
      `${one.deploymentId} r1-1`,
      `${other.deploymentId} r1-0`,
    ];
    expect((await find({})).toSorted()).toEqual([first, second, third].toSorted());
    expect(await find({ deploymentId: one.deploymentId.toUpperCase() })).toEqual([first, second]);
    expect(await find({ hostname: other.hostname.toUpperCase() })).toEqual([third]);
    expect(await find({ hostname: 'nobody.localhost' })).toEqual([]);
    expect((await find({ nodeId: NODE })).toSorted()).toEqual([first, second, third].toSorted());
    expect(await find({ nodeId: 'node-0000000z' })).toEqual([]);
    expect(await find({ state: ReplicaState.UNHEALTHY })).toEqual([first]);
    const all = { deploymentId: one.deploymentId, nodeId: NODE, hostname: one.hostname, state: ReplicaState.HEALTHY };
    expect(await find(all)).toEqual([second]);
  });

  it('comes in pages, each replica once, with tokens that other filters refuse', async () => {
    const bob = await rig.user('bob');
    for (const count of [3, 1, 2]) await aRunning(bob, count);
    const { organizationId } = bob;
    const whole = await replicasOf('bob').listReplicas({ organizationId });
    const found: string[] = [];
    let token = '';
    do {
      const answer = await replicasOf('bob').listReplicas({ organizationId, page: { size: 4, token } });
      found.push(...idsOf(answer.replicas));
      token = answer.page?.nextToken ?? '';
      const other = { organizationId, nodeId: NODE, page: { token } };
      if (token) expect(await refusalOf(replicasOf('bob').listReplicas(other))).toMatchObject({ field: 'page.token' });
    } while (token !== '');
    expect(found).toEqual(idsOf(whole.replicas));
    expect(new Set(found).size).toBe(6);
  });

  it('is told to members of the organization only, and of all organizations to operators only', async () => {
    const { deploymentId } = await aRunning(alice);
    const foreign = await aRunning(mallory);
    const { replicas } = await replicasOf('alice').listReplicas({ organizationId: alice.organizationId });
    expect(new Set(replicas.map(({ organizationId }) => organizationId))).toEqual(new Set([alice.organizationId]));
    const refusals = [
      refusalOf(replicasOf('mallory').listReplicas({ organizationId: alice.organizationId })),
      refusalOf(replicasOf('mallory').listReplicas({ organizationId: mallory.organizationId, deploymentId })),
      refusalOf(replicasOf('mallory').watchReplicas({ organizationId: alice.organizationId })),
    ];
    for (const refusal of refusals) expect(await refusal).toMatchObject({ code: 'NotFound' });
    for (const unnamed of [{}, { deploymentId }, { nodeId: NODE }]) {
      const refusal = await refusalOf(replicasOf('alice').listReplicas(unnamed));
      expect(refusal).toMatchObject({ code: 'InvalidArgument', field: 'organization_id' });
    }
    const operator = replicasOf(OPERATOR);
    const everywhere = await operator.listReplicas({ page: { size: 200 } });
    expect(idsOf(everywhere.replicas)).toEqual(
      expect.arrayContaining([`${deploymentId} r1-0`, `${foreign.deploymentId} r1-0`]),
    );
    const ofOne = await operator.listReplicas({ deploymentId });
    expect(idsOf(ofOne.replicas)).toEqual([`${deploymentId} r1-0`]);
    const named = await operator.listReplicas({ organizationId: mallory.organizationId });
    expect(idsOf(named.replicas)).toEqual([`${foreign.deploymentId} r1-0`]);
  });

  it('is refused to operators for what does not exist, or not in the organization that they name', async () => {
    const { deploymentId } = await aRunning(alice);
    const wrong = [
      { organizationId: randomUUID() },
      { deploymentId: randomUUID() },
      { organizationId: mallory.organizationId, deploymentId },
    ];
    for (const request of wrong) {
      expect(await refusalOf(replicasOf(OPERATOR).listReplicas(request))).toMatchObject({ code: 'NotFound' });
    }
  });
});

describe('strangers', () => {
  it('are listed to operators only, by node and page by page', async () => {
    const rows = ['d', 'e', 'f'].map((digit) => ({
      ...{ node_id: NODE, container_id: digit.repeat(64), kind: 'forged' as const, name: 'mine', reason: 'its name' },
    }));
    await rig.db.insertInto('strangers').values(rows).execute();
    const operator = replicasOf(OPERATOR);
    const first = await operator.listStrangers({ nodeId: NODE, page: { size: 2 } });
    const rest = await operator.listStrangers({ nodeId: NODE, page: { size: 2, token: first.page?.nextToken ?? '' } });
    const found = [...first.strangers, ...rest.strangers];
    expect(found.map(({ containerId }) => containerId[0])).toEqual(['d', 'e', 'f']);
    expect(found[0]).toMatchObject({ nodeId: NODE, kind: StrangerKind.FORGED, name: 'mine', reason: 'its name' });
    expect((await operator.listStrangers({ nodeId: 'node-0000000z' })).strangers).toEqual([]);
    expect(await refusalOf(replicasOf('alice').listStrangers({}))).toMatchObject({ code: 'PermissionDenied' });
  });
});

describe('watching where replicas are', () => {
  /** A watch that has told everything that matched. */
  async function aWatch(name: string, request: MessageInitShape<typeof WatchReplicasRequestSchema>) {
    const leave = new AbortController();
    const stream = replicasOf(name).watchReplicas(request, { signal: leave.signal });
    const messages = stream[Symbol.asyncIterator]();
    const next = async (): Promise<WatchReplicasResponse> => {
      const step = await messages.next();
      if (step.done) throw new Error('the stream ended');
      return step.value;
    };
    const snapshot: LocatedReplica[] = [];
    for (let isComplete = false; !isComplete; ) {
      const message = await next();
      snapshot.push(...message.replicas);
      isComplete = message.complete;
    }
    /** The next message that tells something. */
    const nextNews = async (): Promise<WatchReplicasResponse> => {
      for (;;) {
        const message = await next();
        if (message.replicas.length > 0 || message.removed.length > 0) return message;
      }
    };
    return { snapshot, next, nextNews, leave };
  }

  it('begins with all that match, tells what changes and what goes, and is not silent for long', async () => {
    const carol = await rig.user('carol');
    const { organizationId } = carol;
    const { deploymentId } = await aRunning(carol);
    const { snapshot, next, nextNews, leave } = await aWatch('carol', { organizationId });
    expect(idsOf(snapshot)).toEqual([`${deploymentId} r1-0`]);
    expect(await next()).toMatchObject({ replicas: [], removed: [], complete: true });
    await report(deploymentId, 'unhealthy');
    expect((await nextNews()).replicas).toMatchObject([{ deploymentId, replica: { state: ReplicaState.UNHEALTHY } }]);
    await remove(deploymentId);
    expect((await nextNews()).removed).toMatchObject([{ deploymentId, replicaId: 'r1-0' }]);
    leave.abort();
  });

  it('is complete at once where nothing matches', async () => {
    const { snapshot, leave } = await aWatch('alice', {
      organizationId: alice.organizationId,
      nodeId: 'node-0000000z',
    });
    expect(snapshot).toEqual([]);
    leave.abort();
  });

  it('takes back what no longer has the state that is asked for, and tells of what has it now', async () => {
    const { organizationId } = alice;
    const { deploymentId } = await aRunning(alice);
    const watch = await aWatch('alice', { organizationId, deploymentId, state: ReplicaState.EXITED });
    expect(watch.snapshot).toEqual([]);
    await report(deploymentId, 'exited');
    expect(idsOf((await watch.nextNews()).replicas)).toEqual([`${deploymentId} r1-0`]);
    await report(deploymentId, 'healthy');
    expect((await watch.nextNews()).removed).toMatchObject([{ deploymentId, replicaId: 'r1-0' }]);
    watch.leave.abort();
  });

  it('tells of a node that is lost, with every replica there', async () => {
    const nodeId = await aReadyNode(rig.db, { nodeId: 'node-0000000b', cpuCores: 64 });
    const { organizationId } = alice;
    const { deploymentId } = await aRunning(alice);
    await rig.db.updateTable('replicas').set({ node_id: nodeId }).where('deployment_id', '=', deploymentId).execute();
    const watch = await aWatch('alice', { organizationId, nodeId });
    expect(idsOf(watch.snapshot)).toEqual([`${deploymentId} r1-0`]);
    await rig.db.updateTable('nodes').set({ state: 'lost', reason: 'silent' }).where('id', '=', nodeId).execute();
    expect((await watch.nextNews()).replicas).toMatchObject([{ node: { id: nodeId, state: NodeState.LOST } }]);
    watch.leave.abort();
    await remove(deploymentId);
    await rig.db.deleteFrom('nodes').where('id', '=', nodeId).execute();
  });

  it('tells members nothing of other organizations, not even that something went', async () => {
    const { organizationId } = alice;
    const watch = await aWatch('alice', { organizationId });
    const foreign = await aRunning(mallory);
    await remove(foreign.deploymentId);
    const own = await aRunning(alice);
    const told: string[] = [];
    while (!told.includes(own.deploymentId)) {
      const { replicas, removed } = await watch.nextNews();
      told.push(...[...replicas, ...removed].map((one) => one.deploymentId));
    }
    expect(told).not.toContain(foreign.deploymentId);
    watch.leave.abort();
  });

  it('gives its sign of life however much happens to others', async () => {
    const { organizationId } = alice;
    const watch = await aWatch('alice', { organizationId, nodeId: 'node-0000000z' });
    let isOver = false;
    const foreign = (async () => {
      while (!isOver)
        await sql`SELECT pg_notify('obiente_changes', ${JSON.stringify({ deployment: randomUUID() })})`.execute(rig.db);
    })();
    for (let beats = 0; beats < 3; beats += 1) expect(await watch.next()).toMatchObject({ complete: true });
    isOver = true;
    await foreign;
    watch.leave.abort();
  });

  it('tells an operator of all organizations', async () => {
    const watch = await aWatch(OPERATOR, {});
    const { deploymentId } = await aRunning(mallory);
    const told: string[] = [];
    while (!told.includes(deploymentId)) {
      told.push(...(await watch.nextNews()).replicas.map((one) => one.deploymentId));
    }
    watch.leave.abort();
  });

  it('tells a reader who was away for a while the newest state once, and not each change', async () => {
    const { organizationId } = alice;
    const { deploymentId } = await aRunning(alice);
    const watch = await aWatch('alice', { organizationId, deploymentId });
    for (const state of ['unhealthy', 'healthy', 'unhealthy', 'healthy', 'exited'] as const) {
      await report(deploymentId, state);
    }
    const states: (ReplicaState | undefined)[] = [];
    while (states.at(-1) !== ReplicaState.EXITED) {
      states.push(...(await watch.nextNews()).replicas.map(({ replica }) => replica?.state));
    }
    expect(states.length).toBeLessThanOrEqual(3);
    watch.leave.abort();
  });
});

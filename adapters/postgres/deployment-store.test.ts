import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { OperationRequest } from '../../contracts/deployment.ts';
import { assess } from '../../domain/rollout-goal.ts';
import type { Source } from '../../domain/spec.ts';
import { aDeployRequest, aGitSource, aRemoveRequest, aRequest, aSpec } from '../../test/support/builders.ts';
import {
  aCreation,
  aReadyNode,
  aStarted,
  aTenant,
  NOTHING_LEFT,
  rollOut,
  withoutNodes,
} from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findDeployment } from './deployments.ts';
import { listEvents } from './events.ts';
import { findOperation } from './operations.ts';
import { pinImages } from './revision-images.ts';
import { listRevisions } from './revisions.ts';
import { readIngressSnapshot } from './routes.ts';
import { listUntaken } from './take-operations.ts';

const database = useTestDatabase();
const GIB = 1024 ** 3;

let store: StoreActivities;

beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
});

async function kindsOf(deploymentId: string): Promise<string[]> {
  const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 1000 });
  return events.map((event) => event.kind);
}

/** A deployment that runs, with its tenant. */
async function aRunning(replicas = 1) {
  const tenant = await aTenant(database.db);
  const creation = aCreation(tenant, { spec: aSpec({ replicas }) });
  const accepted = await store.storeOperation(creation);
  await rollOut(store, creation.deploymentId, accepted);
  return { tenant, creation, accepted, deploymentId: creation.deploymentId };
}

describe('storing a deploy', () => {
  it('creates the deployment with revision 1, its route and its operation', async () => {
    const tenant = await aTenant(database.db);
    const creation = aCreation(tenant, { createAs: 'web' });
    const accepted = await store.storeOperation(creation);
    expect(accepted).toEqual({ operationId: creation.request.operationId, kind: 'deploy', revision: 1, open: true });
    expect(await findDeployment(database.db, creation.deploymentId)).toMatchObject({
      name: 'web',
      revision: 1,
      spec: creation.request.spec,
      serving: null,
      hostnames: ['web.example.test'],
      operation: { id: accepted.operationId, kind: 'deploy', state: 'queued', revision: 1 },
    });
    expect(await kindsOf(creation.deploymentId)).toEqual(['operation.queued']);
  });

  it('has one effect when the same request comes fifty times at once', { repeats: 9 }, async () => {
    const creation = aCreation(await aTenant(database.db));
    const answers = await Promise.all(Array.from({ length: 50 }, () => store.storeOperation(creation)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await kindsOf(creation.deploymentId)).toEqual(['operation.queued']);
    const { deploymentId } = creation;
    const counted = await database.db
      .selectFrom('revisions')
      .select('number')
      .where('deployment_id', '=', deploymentId)
      .execute();
    expect(counted).toEqual([{ number: 1 }]);
  });

  it('refuses the same key for something else, also when both come at once', async () => {
    const tenant = await aTenant(database.db);
    const first = aCreation(tenant, { createAs: 'one' });
    const { idempotencyKey } = first.request;
    const other = aCreation(tenant, { createAs: 'two', idempotencyKey, spec: aSpec({ replicas: 2 }) });
    const outcomes = await Promise.allSettled([store.storeOperation(first), store.storeOperation(other)]);
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    expect(refused).toEqual([expect.objectContaining({ code: 'IDEMPOTENCY_CONFLICT', field: 'idempotency_key' })]);
  });

  it('refuses a name that is taken in the project, and leaves nothing', async () => {
    const tenant = await aTenant(database.db);
    await store.storeOperation(aCreation(tenant, { createAs: 'web' }));
    const second = aCreation(tenant, { createAs: 'web' });
    await expect(store.storeOperation(second)).rejects.toMatchObject({ code: 'NAME_TAKEN', field: 'name' });
    expect(await findOperation(database.db, second.request.operationId)).toBeUndefined();
    expect(await kindsOf(second.deploymentId)).toEqual([]);
  });

  it('gives one name in two projects two hostnames', async () => {
    const name = `shop-${randomUUID().slice(0, 8)}`;
    const first = aCreation(await aTenant(database.db), { createAs: name });
    const second = aCreation(await aTenant(database.db), { createAs: name });
    await store.storeOperation(first);
    await store.storeOperation(second);
    const hostnames = (await findDeployment(database.db, second.deploymentId))?.hostnames;
    expect(hostnames).toEqual([`${name}-${second.deploymentId.slice(0, 6)}.example.test`]);
  });

  it('knows no project of another organization, and no deployment that was never created', async () => {
    const [mine, theirs] = [await aTenant(database.db), await aTenant(database.db)];
    const foreign = aCreation({ ...mine, projectId: theirs.projectId });
    await expect(store.storeOperation(foreign)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const unknown = aCreation(mine, { createAs: null });
    await expect(store.storeOperation(unknown)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { deploymentId } = await aRunningOf(theirs);
    const stolen = { ...aCreation(mine, { createAs: null }), deploymentId };
    await expect(store.storeOperation(stolen)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('numbers concurrent deploys one after the other', async () => {
    const { creation } = await aRunningOf(await aTenant(database.db));
    const requests = Array.from({ length: 10 }, () => aDeployRequest({ createAs: null }));
    const answers = await Promise.all(requests.map((request) => store.storeOperation({ ...creation, request })));
    expect(answers.map((answer) => answer.revision).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  async function aRunningOf(tenant: Awaited<ReturnType<typeof aTenant>>) {
    const creation = aCreation(tenant);
    await store.storeOperation(creation);
    return { creation, deploymentId: creation.deploymentId };
  }
});

describe('beginning a rollout', () => {
  it('reserves, and answers a second call with the same plan', async () => {
    await aReadyNode(database.db, { nodeId: 'node-aaaa' });
    await aReadyNode(database.db, { nodeId: 'node-bbbb' });
    const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 3 }) });
    const { operationId } = await store.storeOperation(creation);
    const { deploymentId } = creation;
    const plan = await store.beginRollout({ deploymentId, operationId });
    const template = { deploymentId, serviceName: 'app', operationId, revision: 1, hasEnvironment: false };
    const place = { service: 'app', revision: 1 };
    expect(plan).toMatchObject({
      goal: [{ name: 'app', revision: 1, replicas: 3 }],
      renew: false,
      services: [{ template, imageDigest: null, buildNodeId: null }],
      reserved: [
        { ...place, replicaId: 'r1-0', index: 0, nodeId: 'node-aaaa' },
        { ...place, replicaId: 'r1-1', index: 1, nodeId: 'node-bbbb' },
        { ...place, replicaId: 'r1-2', index: 2, nodeId: 'node-aaaa' },
      ],
      existing: [],
    });
    expect(await store.beginRollout({ deploymentId, operationId })).toEqual(plan);
    expect(await kindsOf(deploymentId)).toEqual(['operation.queued', 'operation.started', 'replica.placed']);
  });

  it('never promises the same memory to two rollouts that begin at once', async () => {
    await aReadyNode(database.db, { memoryBytes: 5 * GIB, cpuCores: 64 });
    const tenant = await aTenant(database.db);
    const spec = aSpec({ limits: { cpuCores: 0.1, memoryBytes: GIB } });
    const creations = Array.from({ length: 12 }, (_, index) => aCreation(tenant, { createAs: `app-${index}`, spec }));
    const stored = await Promise.all(creations.map((creation) => store.storeOperation(creation)));
    const outcomes = await Promise.allSettled(
      stored.map(({ operationId }, index) =>
        store.beginRollout({ deploymentId: creations[index]?.deploymentId ?? '', operationId }),
      ),
    );
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as Error] : []));
    expect(refusals).toHaveLength(7);
    expect(refusals[0]).toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });
    expect(refusals[0]?.message).toMatch(
      /^cannot place 1 replica of app-\d+ \(0.1 cores, 1.0 GiB each\): node-\w+ has 255.5 cores and 0 MiB free$/,
    );
    const reserved = await database.db.selectFrom('replicas').select('replica_id').execute();
    expect(reserved).toHaveLength(5);
  });

  it('reserves nothing when a part of the replicas does not fit', async () => {
    await aReadyNode(database.db, { memoryBytes: 2 * GIB });
    const spec = aSpec({ replicas: 3, limits: { cpuCores: 0.1, memoryBytes: GIB } });
    const creation = aCreation(await aTenant(database.db), { spec });
    const { deploymentId } = creation;
    const ref = { deploymentId, ...(await store.storeOperation(creation)) };
    await expect(store.beginRollout(ref)).rejects.toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });
    expect(await database.db.selectFrom('replicas').selectAll().execute()).toEqual([]);
  });

  it('takes only nodes that are ready', async () => {
    const nodeId = await aReadyNode(database.db);
    await store.recordNodeState({ nodeId, state: 'lost', reason: 'the node gave no sign of life' });
    const creation = aCreation(await aTenant(database.db));
    const ref = { deploymentId: creation.deploymentId, ...(await store.storeOperation(creation)) };
    await expect(store.beginRollout(ref)).rejects.toMatchObject({ code: 'NO_NODE_READY' });
  });

  it('spreads replicas of a Dockerfile like others, and lets the node of the first one build', async () => {
    await aReadyNode(database.db, { nodeId: 'node-aaaa' });
    await aReadyNode(database.db, { nodeId: 'node-bbbb' });
    const source = { kind: 'dockerfile', contextSha256: 'c'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
    const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 4, source }) });
    const ref = { deploymentId: creation.deploymentId, ...(await store.storeOperation(creation)) };
    const { reserved, services } = await store.beginRollout(ref);
    expect(reserved.map((replica) => replica.nodeId).sort()).toEqual([
      'node-aaaa',
      'node-aaaa',
      'node-bbbb',
      'node-bbbb',
    ]);
    expect(services[0]?.buildNodeId).toBe(reserved[0]?.nodeId);
    expect((await findDeployment(database.db, creation.deploymentId))?.imageMissing).toBe(true);
    const built = { ...ref, service: 'app', imageId: `sha256:${'b'.repeat(64)}` };
    await store.recordBuild(built);
    await store.recordBuild(built);
    expect((await findDeployment(database.db, creation.deploymentId))?.imageMissing).toBe(false);
    expect((await kindsOf(creation.deploymentId)).slice(-2)).toEqual(['replica.placed', 'build.finished']);
  });

  it('lets a node build by nixpacks that has it, also where the replicas are elsewhere, and the same one again', async () => {
    await aReadyNode(database.db, { nodeId: 'node-aaaa' });
    await aReadyNode(database.db, { nodeId: 'node-bbbb' });
    const change = (nodeId: string, facts: { nixpacks_version?: string; architecture?: string; cordoned?: boolean }) =>
      database.db.updateTable('nodes').set(facts).where('id', '=', nodeId).execute();
    const begin = async (source: Source = { kind: 'nixpacks', contextSha256: 'c'.repeat(64) }) => {
      const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 1, source }) });
      const ref = { deploymentId: creation.deploymentId, ...(await store.storeOperation(creation)) };
      const again = async () => {
        const { reserved, services } = await store.beginRollout(ref);
        return [reserved[0]?.nodeId, services[0]?.buildNodeId];
      };
      return { nodes: await again(), again };
    };
    // From now on the other node has less room.
    await change('node-aaaa', { cordoned: true });
    await begin({ kind: 'image', reference: 'nginx' });
    await change('node-aaaa', { cordoned: false });
    await expect(begin()).rejects.toMatchObject({
      ...{ code: 'SOURCE_REFUSED', message: expect.stringContaining('nixpacks has to, and no node has it') },
      hint: expect.stringContaining('install nixpacks on a node'),
    });
    await change('node-bbbb', { nixpacks_version: '1.41.0', cordoned: true });
    await expect(begin()).rejects.toMatchObject({
      code: 'NO_NODE_READY',
      message: expect.stringContaining('node-bbbb'),
    });
    await change('node-bbbb', { cordoned: false });
    const elsewhere = await begin();
    expect(elsewhere.nodes).toEqual(['node-aaaa', 'node-bbbb']);
    await change('node-aaaa', { nixpacks_version: '1.41.0' });
    expect(await elsewhere.again()).toEqual(['node-aaaa', 'node-bbbb']);
    expect((await begin(aGitSource({ builder: 'nixpacks' }))).nodes).toEqual(['node-aaaa', 'node-aaaa']);
  });

  it.each<[string, Source]>([
    ['a Dockerfile', { kind: 'dockerfile', contextSha256: 'c'.repeat(64), dockerfilePath: 'Dockerfile' }],
    ['a repository', aGitSource()],
  ])('places more replicas of what is built from %s on nodes of the same architecture', async (_, source) => {
    const builder = await aReadyNode(database.db, { nodeId: 'node-aaaa' });
    const other = await aReadyNode(database.db, { nodeId: 'node-bbbb' });
    const kindOf = (architecture: string, nodeId: string) =>
      database.db.updateTable('nodes').set({ architecture }).where('id', '=', nodeId).execute();
    await kindOf('arm64', other);
    const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 2, source }) });
    const ref = { deploymentId: creation.deploymentId, ...(await store.storeOperation(creation)) };
    const more = (batch: number) =>
      store.reserveReplicas({ ...ref, batch, starts: [{ service: 'app', revision: 1, count: 1 }] });
    const { reserved } = await store.beginRollout(ref);
    expect(reserved.map(({ nodeId }) => nodeId)).toEqual([builder, builder]);
    await store.recordBuild({ ...ref, service: 'app', revision: 1, imageId: `sha256:${'b'.repeat(64)}` });
    expect((await more(1)).map(({ nodeId }) => nodeId)).toEqual([builder]);
    await kindOf('amd64', other);
    expect((await more(2)).map(({ nodeId }) => nodeId)).toEqual([other]);
  });
});

describe('a source in a Git repository', () => {
  const [ONE, TWO] = ['1', '2'].map((digit) => digit.repeat(40)) as [string, string];
  const REFRESH = { service: null, replace: {}, setVariables: [], unsetVariables: [] };

  /** A deployment whose first revision runs the first commit. */
  async function aBuilt() {
    await aReadyNode(database.db);
    const creation = aCreation(await aTenant(database.db), { spec: aSpec({ source: aGitSource() }) });
    const accepted = await store.storeOperation(creation);
    const ref = { deploymentId: creation.deploymentId, ...accepted };
    const { services } = await store.beginRollout(ref);
    expect(services[0]?.source).toMatchObject({ kind: 'git', commit: null });
    await store.recordSource({ ...ref, service: 'app', commit: ONE });
    await store.recordBuild({ ...ref, service: 'app', imageId: `sha256:${'b'.repeat(64)}`, detected: 'found it' });
    await rollOut(store, creation.deploymentId, accepted);
    const next = async (wish: Parameters<typeof aRequest>[0]) => {
      const request = aRequest(wish) as OperationRequest;
      const stored = await store.storeOperation({ ...creation, request });
      const { services: planned } = await store.beginRollout({ deploymentId: creation.deploymentId, ...stored });
      const source = planned[0]?.source;
      return source?.kind === 'git' ? source.commit : undefined;
    };
    return { creation, ref, next };
  }

  it('is pinned once, whatever the branch is later, and its steps are told', async () => {
    const { ref, creation } = await aBuilt();
    expect(await store.recordSource({ ...ref, service: 'app', commit: TWO })).toEqual({ commit: ONE });
    const deployment = await findDeployment(database.db, creation.deploymentId);
    expect(deployment).toMatchObject({ commit: ONE, imageMissing: false });
    const events = await listEvents(database.db, { deploymentId: creation.deploymentId, afterSequence: 0, limit: 100 });
    const told = events.map(({ kind, message }) => `${kind}: ${message}`);
    expect(told.filter((line) => line.startsWith('source.'))).toEqual([`source.resolved: main is ${ONE}`]);
    expect(told).toContain('build.detected: found it');
  });

  it('keeps its commit where another setting is changed, and is looked up again where that is asked for', async () => {
    const { next } = await aBuilt();
    expect(await next({ kind: 'update', change: { ...REFRESH, replace: { port: 81 } } } as never)).toBe(ONE);
    expect(await next({ kind: 'update', change: REFRESH, freshSource: true } as never)).toBeNull();
    expect(
      await next({ kind: 'update', change: { ...REFRESH, replace: { source: aGitSource() } } } as never),
    ).toBeNull();
    expect(await next({ kind: 'rollback', toRevision: 1 } as never)).toBe(ONE);
    const revisions = await listRevisions(database.db, {
      deploymentId: (await aBuilt()).creation.deploymentId,
      limit: 9,
    });
    expect(revisions.map(({ commit }) => commit)).toEqual([ONE]);
  });
});

describe('a rollout', () => {
  beforeEach(async () => {
    await aReadyNode(database.db);
  });

  it('serves from its switch on, and tells each step once although every step runs twice', async () => {
    const creation = aCreation(await aTenant(database.db), { createAs: 'web' });
    const { deploymentId } = creation;
    const accepted = await store.storeOperation(creation);
    const twice = async <Result>(step: () => Promise<Result>): Promise<Result> => {
      const answer = await step();
      expect(await step()).toEqual(answer);
      return answer;
    };
    const ref = { deploymentId, operationId: accepted.operationId };
    await twice(() => store.beginRollout(ref));
    const before = (await readIngressSnapshot(database.db)).generation;
    const change = { ...ref, serve: [aStarted('r1-0')], resume: [], drain: [], weight: null };
    const { generation } = await twice(() => store.switchRoutes(change));
    expect(generation).toBe(before + 1);
    await twice(() => store.finishOperation(ref));

    const { routes, generation: served } = await readIngressSnapshot(database.db);
    expect(served).toBe(generation);
    expect(routes).toEqual([
      expect.objectContaining({ hostname: 'web.example.test', upstreams: [{ host: '127.0.0.1', port: 32_768 }] }),
    ]);
    expect(await findDeployment(database.db, deploymentId)).toMatchObject({
      goal: [{ name: 'app', revision: 1, replicas: 1 }],
      serving: { revision: 1, imageDigest: `sha256:${'a'.repeat(64)}` },
      operation: { state: 'succeeded' },
      replicas: [
        { replicaId: 'r1-0', state: 'healthy', serving: true, startedAt: new Date('2026-01-01T00:00:00.123Z') },
      ],
    });
    expect(await kindsOf(deploymentId)).toEqual([
      ...['operation.queued', 'operation.started', 'replica.placed', 'replica.healthy', 'route.switched'],
      'operation.succeeded',
    ]);
  });

  it('replaces the old revision, whose reservation is free again', async () => {
    const { creation, deploymentId } = await aRunning(2);
    const request = aDeployRequest({ createAs: null, spec: aSpec({ replicas: 1 }) });
    const accepted = await store.storeOperation({ ...creation, request });
    const plan = await rollOut(store, deploymentId, accepted);
    expect(plan.existing).toMatchObject([
      { replicaId: 'r1-0', revision: 1, serving: true },
      { replicaId: 'r1-1', revision: 1, serving: true },
    ]);
    const deployment = await findDeployment(database.db, deploymentId);
    expect(deployment?.replicas.map((replica) => replica.replicaId)).toEqual(['r2-0']);
    expect(deployment?.serving).toMatchObject({ revision: 2 });
    expect(deployment?.goal).toEqual([{ name: 'app', revision: 2, replicas: 1 }]);
  });

  it('that is undone leaves the old revision serving and reserves nothing', async () => {
    const { creation, deploymentId } = await aRunning();
    const request = aDeployRequest({ createAs: null });
    const { operationId } = await store.storeOperation({ ...creation, request });
    const ref = { deploymentId, operationId };
    await store.beginRollout(ref);
    const forth = { serve: [aStarted('r2-0')], resume: [], drain: ['r1-0'], weight: null };
    const first = await store.switchRoutes({ ...ref, ...forth });
    expect((await findDeployment(database.db, deploymentId))?.serving?.revision).toBe(2);
    const back = await store.planReturn({ ...ref, unused: [] });
    expect(back).toMatchObject({ goal: [{ name: 'app', revision: 1, replicas: 1 }], reserved: [] });
    expect(assess(back.goal, back.existing, back)).toMatchObject([
      { replicaId: 'r1-0', wanted: true, phase: 'ready' },
      { replicaId: 'r2-0', wanted: false, phase: 'serving' },
    ]);
    const undone = await store.switchRoutes({ ...ref, serve: [], resume: ['r1-0'], drain: ['r2-0'], weight: null });
    expect(undone.generation).toBeGreaterThan(first.generation ?? 0);
    const failure = { code: 'INGRESS_UNCONFIRMED', message: `bad${'\0'} ${'x'.repeat(9000)}`, hint: 'try' };
    await store.failOperation({ ...ref, failure });
    await store.failOperation({ ...ref, failure });

    expect(await findDeployment(database.db, deploymentId)).toMatchObject({
      serving: { revision: 1 },
      operation: { state: 'failed', errorCode: 'INGRESS_UNCONFIRMED', errorHint: 'try' },
      replicas: [{ replicaId: 'r1-0', serving: true, state: 'healthy' }],
    });
    expect((await kindsOf(deploymentId)).filter((kind) => kind === 'operation.failed')).toHaveLength(1);
  });

  it('can be as large as a spec allows', async () => {
    await aReadyNode(database.db, { cpuCores: 1000, memoryBytes: 1000 * GIB });
    const spec = aSpec({ replicas: 10_000, limits: { cpuCores: 0.1, memoryBytes: 6 * 1024 ** 2 } });
    const creation = aCreation(await aTenant(database.db), { spec });
    const { deploymentId } = creation;
    await rollOut(store, deploymentId, await store.storeOperation(creation));
    const second = await store.storeOperation({ ...creation, request: aDeployRequest({ createAs: null }) });
    expect((await rollOut(store, deploymentId, second)).existing).toHaveLength(10_000);
    expect((await findDeployment(database.db, deploymentId))?.replicas).toHaveLength(1);
  });

  it('pins its revision once: another digest does not replace it', async () => {
    const { deploymentId } = await aRunning();
    const other = { service: 'app', revision: 1, digest: 'sha256:other' };
    expect(await database.db.transaction().execute((tx) => pinImages(tx, deploymentId, [other]))).toEqual([]);
    const images = database.db.updateTable('revision_images').where('deployment_id', '=', deploymentId);
    await expect(images.set({ image_digest: 'sha256:other' }).execute()).rejects.toThrow(/immutable/);
    const revisions = database.db.updateTable('revisions').where('deployment_id', '=', deploymentId);
    await expect(revisions.set({ spec: '{}' }).execute()).rejects.toThrow(/immutable/);
    await expect(revisions.set({ next_index: 0 }).execute()).rejects.toThrow(/immutable/);
  });

  it('of a revision without a port has no generation, and takes the routes of an older one away', async () => {
    const { creation, deploymentId } = await aRunning();
    const request = aDeployRequest({ createAs: null, spec: aSpec({ port: null }) });
    await rollOut(store, deploymentId, await store.storeOperation({ ...creation, request }));
    expect((await findDeployment(database.db, deploymentId))?.hostnames).toEqual([]);
    const next = aDeployRequest({ createAs: null, spec: aSpec({ port: null, replicas: 2 }) });
    const { operationId, revision } = await store.storeOperation({ ...creation, request: next });
    const ref = { deploymentId, operationId };
    await store.beginRollout(ref);
    const serve = [aStarted(`r${revision}-0`)];
    const switched = await store.switchRoutes({ ...ref, serve, resume: [], drain: [], weight: null });
    expect(switched.generation).toBeNull();
  });

  it('that is superseded ends so, and only while it is open', async () => {
    const { creation, deploymentId, accepted } = await aRunning();
    const waiting = await store.storeOperation({ ...creation, request: aDeployRequest({ createAs: null }) });
    const byOperationId = randomUUID();
    await store.supersedeOperation({ deploymentId, operationId: waiting.operationId, byOperationId });
    await store.supersedeOperation({ deploymentId, operationId: accepted.operationId, byOperationId });
    expect((await findOperation(database.db, waiting.operationId))?.state).toBe('superseded');
    expect((await findOperation(database.db, accepted.operationId))?.state).toBe('succeeded');
  });
});

describe('a removal', () => {
  beforeEach(async () => {
    await aReadyNode(database.db, { nodeId: 'node-aaaa' });
  });

  it('takes routes first, then every row but the history', async () => {
    const { creation, deploymentId } = await aRunning(2);
    const request = aRemoveRequest();
    const { operationId } = await store.storeOperation({ ...creation, request });
    const ref = { deploymentId, operationId };
    const before = (await readIngressSnapshot(database.db)).generation;
    const plan = await store.beginRemoval(ref);
    expect(plan).toMatchObject({
      deploymentId,
      projectId: creation.projectId,
      replicas: [
        { nodeId: 'node-aaaa', revision: 1, index: 0 },
        { nodeId: 'node-aaaa', revision: 1, index: 1 },
      ],
      nodeIds: ['node-aaaa'],
      lostNodeIds: [],
      generation: before + 1,
    });
    expect((await readIngressSnapshot(database.db)).routes).toEqual([]);
    await store.purgeDeployment({ ...ref, ...NOTHING_LEFT });
    await store.purgeDeployment({ ...ref, ...NOTHING_LEFT });

    expect(await findDeployment(database.db, deploymentId)).toBeUndefined();
    for (const table of ['deployments', 'revisions', 'replicas', 'routes'] as const) {
      expect(await database.db.selectFrom(table).selectAll().execute()).toEqual([]);
    }
    expect((await kindsOf(deploymentId)).slice(-3)).toEqual([
      ...['operation.queued', 'operation.started', 'operation.succeeded'],
    ]);
    expect((await findOperation(database.db, operationId))?.state).toBe('succeeded');
  });

  it('ends what else was asked meanwhile: removals with success, deploys as superseded', async () => {
    const { creation, deploymentId } = await aRunning();
    const deploy = await store.storeOperation({ ...creation, request: aDeployRequest({ createAs: null }) });
    const first = await store.storeOperation({ ...creation, request: aRemoveRequest() });
    const second = await store.storeOperation({ ...creation, request: aRemoveRequest() });
    await store.beginRemoval({ deploymentId, operationId: first.operationId });
    await store.purgeDeployment({ deploymentId, operationId: first.operationId, ...NOTHING_LEFT });
    const states = await Promise.all([deploy, first, second].map((one) => findOperation(database.db, one.operationId)));
    expect(states.map((operation) => operation?.state)).toEqual(['superseded', 'succeeded', 'succeeded']);
  });

  it.each(['lost', 'degraded'] as const)('knows which nodes do not answer: one that is %s', async (state) => {
    const { creation, deploymentId } = await aRunning();
    const { operationId } = await store.storeOperation({ ...creation, request: aRemoveRequest() });
    await store.recordNodeState({ nodeId: 'node-aaaa', state, reason: 'of this test' });
    expect(await store.beginRemoval({ deploymentId, operationId })).toMatchObject({ lostNodeIds: ['node-aaaa'] });
  });

  it('lets no deploy in once it is stored, and says so of requests that came before', async () => {
    const { creation, deploymentId } = await aRunning();
    const removal = aRemoveRequest();
    const { operationId } = await store.storeOperation({ ...creation, request: removal });
    const late = { ...creation, request: aDeployRequest({ createAs: null }) };
    await expect(store.storeOperation(late)).rejects.toMatchObject({ code: 'DEPLOYMENT_DELETED' });
    expect(await store.storeOperation({ ...creation, request: removal })).toMatchObject({ operationId, open: true });
    await store.purgeDeployment({ deploymentId, operationId, ...NOTHING_LEFT });
    await expect(store.storeOperation(creation)).rejects.toMatchObject({ code: 'DEPLOYMENT_DELETED' });
    await expect(store.storeOperation({ ...creation, request: removal })).rejects.toMatchObject({
      code: 'DEPLOYMENT_DELETED',
    });
  });

  it('gives the name free', async () => {
    const { tenant, creation, deploymentId } = await aRunning();
    const { operationId } = await store.storeOperation({ ...creation, request: aRemoveRequest() });
    await store.purgeDeployment({ deploymentId, operationId, ...NOTHING_LEFT });
    expect(await store.storeOperation(aCreation(tenant))).toMatchObject({ revision: 1, open: true });
  });
});

describe('taking operations', () => {
  const listedUntaken = async (deploymentId: string) =>
    (await listUntaken(database.db)).filter((place) => place.deploymentId === deploymentId);
  const longAgo = async (deploymentId: string) =>
    await database.db
      .updateTable('operations')
      .set({ created_at: new Date(Date.now() - 60_000) })
      .where('deployment_id', '=', deploymentId)
      .execute();

  it('answers with what is open, oldest first, again and again', async () => {
    await aReadyNode(database.db);
    const { creation, deploymentId } = await aRunning();
    const requests = [
      { ...aRequest({ kind: 'restart' }), supersedeRunning: false },
      { ...aRequest({ kind: 'scale', service: 'app', replicas: 3 }), supersedeRunning: false },
      { ...aDeployRequest({ createAs: null }), supersedeRunning: true },
    ];
    for (const request of requests) await store.storeOperation({ ...creation, request });
    const taken = {
      exists: true,
      operations: requests.map(({ operationId, kind, supersedeRunning }) => ({
        ...{ operationId, kind, supersedeRunning, revision: kind === 'deploy' ? 2 : 0 },
        ...(kind === 'scale' ? { part: 'app' } : {}),
      })),
    };
    for (const _ of [1, 2]) expect(await store.takeOperations({ deploymentId })).toEqual(taken);
  });

  it('says that a deployment has gone', async () => {
    expect(await store.takeOperations({ deploymentId: randomUUID() })).toEqual({ exists: false, operations: [] });
  });

  it('is asked for again where it was asked for long since and nobody has come', async () => {
    const tenant = await aTenant(database.db);
    const { deploymentId, ...creation } = aCreation(tenant);
    await store.storeOperation({ deploymentId, ...creation });
    expect(await listedUntaken(deploymentId)).toEqual([]);
    await longAgo(deploymentId);
    const { organizationId, projectId } = creation;
    expect(await listedUntaken(deploymentId)).toEqual([{ deploymentId, organizationId, projectId }]);
    await store.takeOperations({ deploymentId });
    expect(await listedUntaken(deploymentId)).toEqual([]);
  });
});

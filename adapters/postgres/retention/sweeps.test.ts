import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../../contracts/activities.ts';
import { DEFAULT_RETENTION, type RetentionPolicy } from '../../../domain/retention/policy.ts';
import { type ComposeSpec, type DeploymentSpec, PLAIN_CONTAINER } from '../../../domain/spec.ts';
import { aDeployRequest, aRequest, aSpec } from '../../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, rollOut, withoutNodes } from '../../../test/support/control-data.ts';
import { useTestDatabase } from '../../../test/support/database.ts';
import { recordBuildContext, renewBuildContext } from '../build-contexts.ts';
import { readLogChunk } from '../build-logs.ts';
import { createDeploymentStore } from '../deployment-store.ts';
import { findDeployment } from '../deployments.ts';
import { findImageSources } from '../image-sources.ts';
import { reportBuild } from '../report-build.ts';
import { listRevisions } from '../revisions.ts';
import { findNeededContexts } from './needed-contexts.ts';
import { findNeededImages } from './needed-images.ts';
import { beginRun, findRun, finishRun, listItems, listRuns } from './runs.ts';
import { type Sweep, sweepDatabase } from './sweeps.ts';

const database = useTestDatabase();

let store: StoreActivities;

beforeEach(async () => {
  const { db } = database;
  await withoutNodes(db);
  for (const table of [
    'operations',
    'deployment_events',
    'mutation_keys',
    'build_contexts',
    'retention_runs',
  ] as const) {
    await db.deleteFrom(table).execute();
  }
  await aReadyNode(db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(db, { domain: 'example.test', placement });
});

const sha = (letter: string): string => letter.repeat(64);
const image = (letter: string): string => `sha256:${sha(letter)}`;
const dockerfile = (letter: string) =>
  aSpec({ source: { kind: 'dockerfile', contextSha256: sha(letter), dockerfilePath: 'Dockerfile' } });

/** A service that never changes, and one that does with its mark. */
function twoServices(mark: string): ComposeSpec {
  const { rollout, ...parts } = aSpec({ replicas: 1, port: null });
  const service = (name: string, command: readonly string[]) => ({
    ...{ ...parts, name, command, container: PLAIN_CONTAINER, needs: [] },
  });
  return { services: [service('db', []), service('web', [mark])], rollout, warnings: [] };
}

/** What a run, or a dry run, says of everything that there is: `kind reason` and how many. */
async function retain(options: { isDryRun?: boolean; policy?: Partial<RetentionPolicy> } = {}) {
  const scope = {
    ...{ runId: randomUUID(), isDryRun: options.isDryRun ?? false },
    policy: { ...DEFAULT_RETENTION, ...options.policy },
  };
  await beginRun(database.db, { ...scope, actorUserId: null });
  for (let place: string | null = ''; place !== null; ) place = await sweepDatabase(database.db, scope, { place });
  await finishRun(database.db, { runId: scope.runId, error: '' });
  const items = await listItems(database.db, scope.runId, 1000);
  return { scope, items, counts: Object.fromEntries(items.map(({ kind, reason, count }) => [kind + reason, count])) };
}

async function aDeployment(spec: DeploymentSpec = aSpec({ replicas: 1 })) {
  const tenant = await aTenant(database.db);
  const creation = aCreation(tenant, { spec });
  const first = await store.storeOperation(creation);
  const { deploymentId } = creation;
  const place = { deploymentId, organizationId: tenant.organizationId, projectId: tenant.projectId };
  return {
    ...place,
    tenant,
    first,
    /** Stores a further revision. */
    deploy: (next = spec) =>
      store.storeOperation({ ...place, request: { ...aDeployRequest({ spec: next }), createAs: null } }),
    rollback: (toRevision: number | null) =>
      store.storeOperation({ ...place, request: aRequest({ kind: 'rollback', toRevision }) }),
    fail: async ({ operationId }: { operationId: string }) => {
      await store.beginRollout({ deploymentId, operationId }).catch(() => undefined);
      const failure = { code: 'IMAGE_UNAVAILABLE', message: 'no such image', hint: '' };
      await store.failOperation({ deploymentId, operationId, failure });
    },
    numbers: async () => {
      const revisions = await listRevisions(database.db, { deploymentId, limit: 1000 });
      return revisions.map(({ number }) => number).sort((a, b) => a - b);
    },
  };
}

type Deployment = Awaited<ReturnType<typeof aDeployment>>;

async function failMany(deployment: Deployment, times: number): Promise<void> {
  for (let count = 0; count < times; count += 1) await deployment.fail(await deployment.deploy());
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Lets all that has happened so far have happened some days ago. */
async function letDaysPass(days: number): Promise<void> {
  const span = sql<Date>`${days} * interval '1 day'`;
  for (const [table, column] of [
    ['operations', 'created_at'],
    ['operations', 'finished_at'],
    ['deployment_events', 'at'],
    ['mutation_keys', 'created_at'],
    ['build_contexts', 'last_used_at'],
    ['builds', 'finished_at'],
  ]) {
    const moment = sql.ref(column ?? '');
    await sql`UPDATE ${sql.table(table ?? '')} SET ${moment} = ${moment} - ${span}`.execute(database.db);
  }
}

describe('revisions', () => {
  it('stay when they are the newest twenty, run, or came up last; a rollback to those works, to others it is told why', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    await rollOut(store, app.deploymentId, await app.deploy());
    await failMany(app, 23);
    const { counts } = await retain();
    expect(counts).toMatchObject({ revisions: 3 });
    expect(await app.numbers()).toEqual([1, 2, ...numbers(6, 25)]);
    await expect(app.rollback(3)).rejects.toMatchObject({
      ...{ code: 'NOT_FOUND', field: 'to_revision' },
      message: 'cannot roll back to revision 3: it is not kept any more; kept are 1, 2 and 6 to 25',
    });
    await expect(app.rollback(99)).rejects.toMatchObject({ message: expect.stringContaining('none of that number') });
    const rolledBack = await app.rollback(null);
    await rollOut(store, app.deploymentId, rolledBack);
    expect(await findDeployment(database.db, app.deploymentId)).toMatchObject({
      revision: 26,
      serving: { revision: 26 },
    });
  });

  it('stay as long as a service runs as they have it, however many others came up after them', async () => {
    const app = await aDeployment(twoServices('one'));
    const { deploymentId } = app;
    await rollOut(store, deploymentId, app.first);
    for (const mark of ['two', 'three']) {
      const { goal } = await rollOut(store, deploymentId, await app.deploy(twoServices(mark)));
      expect(goal.find(({ name }) => name === 'db')).toMatchObject({ revision: 1 });
    }
    await failMany(app, 22);
    expect((await retain()).counts).toMatchObject({ revisions: 2 });
    expect(await app.numbers()).toEqual([1, 2, 3, ...numbers(6, 25)]);
  });

  it('stay while an operation that is not over makes them', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    const waiting = await app.deploy();
    await store.beginRollout({ deploymentId: app.deploymentId, operationId: waiting.operationId });
    await failMany(app, 25);
    await retain();
    expect(await app.numbers()).toEqual([1, 2, ...numbers(8, 27)]);
    await rollOut(store, app.deploymentId, waiting);
  });

  it('go as the dry run before says, which changes nothing, and a second run finds nothing', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    await failMany(app, 150);
    await letDaysPass(100);
    await failMany(app, 2);
    const before = await app.numbers();
    const dry = await retain({ isDryRun: true });
    expect(await app.numbers()).toEqual(before);
    const run = await retain();
    expect(run.items).toEqual(dry.items);
    expect(run.counts).toMatchObject({ revisions: 132, operations: expect.any(Number), events: expect.any(Number) });
    for (const { bytes } of run.items) expect(bytes).toBeGreaterThan(0);
    expect((await retain()).items).toEqual([]);
    expect((await retain({ isDryRun: true })).items).toEqual([]);
  });

  it('that go while rollbacks to them are asked for are copied before, or refused: never half of it', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    for (let count = 0; count < 30; count += 1) await rollOut(store, app.deploymentId, await app.deploy());
    const rollbacks = numbers(1, 11).map((number) => app.rollback(number));
    const [outcomes] = await Promise.all([Promise.allSettled(rollbacks), retain(), retain()]);
    const copies = (await listRevisions(database.db, { deploymentId: app.deploymentId, limit: 100 })).filter(
      ({ copyOf }) => copyOf !== null,
    );
    const accepted = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.revision] : []));
    expect(copies.map(({ number }) => number).sort()).toEqual(accepted.sort());
    for (const { images } of copies) expect(images).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it('leave the record of a build with a copy of them, so that its image is found on its node', async () => {
    const app = await aDeployment(dockerfile('a'));
    const { deploymentId } = app;
    const { reserved } = await store.beginRollout({ deploymentId, operationId: app.first.operationId });
    await aReadyNode(database.db, { cpuCores: 64, memoryBytes: 1024 ** 4 });
    const built = {
      deploymentId,
      operationId: app.first.operationId,
      service: 'app',
      revision: 1,
      imageId: image('1'),
    };
    await store.recordBuild(built);
    const ofBuild = { deployment_id: deploymentId, revision: 1, service: 'app' };
    await database.db
      .insertInto('build_logs')
      .values({ ...ofBuild, attempt: 1 })
      .execute();
    await rollOut(store, deploymentId, app.first);
    await rollOut(store, deploymentId, await app.rollback(1));
    await rollOut(store, deploymentId, await app.rollback(2));
    await failMany(app, 22);
    const { counts } = await retain();
    expect(await app.numbers()).toEqual([2, 3, ...numbers(6, 25)]);
    expect(counts).toMatchObject({ revisions: 3 });
    const builds = await database.db.selectFrom('builds').select(['revision', 'image_id']).execute();
    expect(builds).toContainEqual({ revision: 2, image_id: image('1') });
    expect(await database.db.selectFrom('build_logs').select('revision').execute()).toEqual([{ revision: 2 }]);
    const again = await app.rollback(2);
    const { reserved: later } = await store.beginRollout({ deploymentId, operationId: again.operationId });
    const asks = { deploymentId, imageId: image('1'), nodeId: later[0]?.nodeId ?? '' };
    const { holders } = await findImageSources(database.db, asks);
    expect(holders.map(({ nodeId }) => nodeId)).toEqual([reserved[0]?.nodeId]);
  });
});

describe('history', () => {
  it('goes after ninety days, but for what tells that a revision works, and the newest of a deployment', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    const scale = aRequest({ kind: 'scale', service: 'app', replicas: 1 });
    const { deploymentId, organizationId, projectId } = app;
    const place = { deploymentId, organizationId, projectId };
    await rollOut(store, deploymentId, await store.storeOperation({ ...place, request: scale }));
    const restart = await store.storeOperation({ ...place, request: aRequest({ kind: 'restart' }) });
    await rollOut(store, deploymentId, restart);
    await letDaysPass(91);
    expect((await retain()).counts).toMatchObject({ operations: 1 });
    const left = await database.db.selectFrom('operations').select('kind').orderBy('sequence').execute();
    expect(left).toEqual([{ kind: 'deploy' }, { kind: 'restart' }]);
    expect(await database.db.selectFrom('deployment_events').select('sequence').execute()).toEqual([]);
    expect(await findDeployment(database.db, deploymentId)).toMatchObject({ operation: { id: restart.operationId } });
  });

  it('of a deleted deployment goes as well, all of it', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    await database.db.deleteFrom('deployments').execute();
    await letDaysPass(89);
    expect((await retain()).items).toEqual([]);
    await letDaysPass(2);
    expect((await retain()).counts).toMatchObject({ operations: 1, events: expect.any(Number) });
    expect(await database.db.selectFrom('operations').select('id').execute()).toEqual([]);
    expect(await database.db.selectFrom('deployment_events').select('sequence').execute()).toEqual([]);
  });

  it('goes earlier when there is much of it, a day old at least, and never of what is not over', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    const open = await app.deploy();
    const { deploymentId, organizationId } = app;
    await sql`INSERT INTO deployment_events (deployment_id, organization_id, operation_id, kind, message)
      SELECT ${deploymentId}, ${organizationId}, ${open.operationId}, 'replica.placed', 'x'
      FROM generate_series(1, 1500)`.execute(database.db);
    await sql`INSERT INTO deployment_events (deployment_id, organization_id, kind, message)
      SELECT ${deploymentId}, ${organizationId}, 'replica.exited', 'x' FROM generate_series(1, 3000)`.execute(
      database.db,
    );
    const policy = { events: 500 };
    expect((await retain({ policy })).items).toEqual([]);
    await letDaysPass(2);
    const dry = await retain({ policy, isDryRun: true });
    const run = await retain({ policy });
    expect(run.items).toEqual(dry.items);
    const left = await database.db
      .selectFrom('deployment_events')
      .select(['operation_id', sql<number>`count(*)`.as('count')])
      .groupBy('operation_id')
      .execute();
    expect(left).toContainEqual({ operation_id: null, count: 500 });
    expect(left.find((row) => row.operation_id === open.operationId)?.count).toBeGreaterThanOrEqual(1500);
  });
});

describe('logs of builds', () => {
  it('go thirty days after the build, all of them, and a remark says so; others stay', async () => {
    const app = await aDeployment(dockerfile('a'));
    const { deploymentId } = app;
    const build = async ({ operationId, revision }: { operationId: string; revision: number }) => {
      const { reserved } = await store.beginRollout({ deploymentId, operationId });
      await reportBuild(database.db, {
        ...{ deploymentId, revision, service: 'app', nodeId: reserved[0]?.nodeId ?? '', attempt: 1, phase: 'building' },
        ...{ epoch: 0, firstNumber: 1, lines: ['one', 'two'].map((text) => ({ atMs: 1, text })), complete: true },
      });
      await store.recordBuild({ deploymentId, operationId, service: 'app', revision, imageId: image(`${revision}`) });
      const failure = { code: 'REPLICA_EXITED', message: 'exited', hint: '' };
      await store.failOperation({ deploymentId, operationId, failure });
    };
    await build(app.first);
    await letDaysPass(29);
    await build(await app.deploy(dockerfile('b')));
    expect((await retain()).items).toEqual([]);
    await letDaysPass(2);
    const dry = await retain({ isDryRun: true });
    const run = await retain();
    expect([run.counts, run.items]).toEqual([{ 'build-logs': 1 }, dry.items]);
    const textsOf = async (revision: number) => {
      const chunk = await readLogChunk(database.db, { deploymentId, revision, service: 'app', after: 0 });
      return { from: chunk?.firstNumber, texts: chunk?.lines.map(([, text]) => text) };
    };
    expect(await textsOf(1)).toEqual({ from: 2, texts: [expect.stringContaining('the log was removed')] });
    expect(await textsOf(2)).toEqual({ from: 1, texts: ['one', 'two'] });
    expect((await retain()).items).toEqual([]);
  });
});

describe('idempotency keys', () => {
  it('are known for thirty days', async () => {
    const scope = randomUUID();
    const rows = Array.from({ length: 2_100 }, (_, index) => ({
      ...{ scope, key: `key-${index}`, request_hash: sha('a'), resource_id: randomUUID() },
    }));
    await database.db.insertInto('mutation_keys').values(rows).execute();
    await letDaysPass(31);
    await database.db
      .insertInto('mutation_keys')
      .values({ ...rows[0], key: 'fresh' } as never)
      .execute();
    const dry = await retain({ isDryRun: true });
    const run = await retain();
    expect([run.counts, run.items]).toEqual([{ 'idempotency-keys': 2_100 }, dry.items]);
    expect(await database.db.selectFrom('mutation_keys').select('key').execute()).toEqual([{ key: 'fresh' }]);
  });
});

describe('records of contexts', () => {
  const anUpload = async (organizationId: string, letter: string) =>
    await recordBuildContext(database.db, { organizationId, sha256: sha(letter), sizeBytes: 10, entries: 1 });

  it('stay while a revision that stays names them, or somebody asked for them within the day', async () => {
    const app = await aDeployment(dockerfile('a'));
    const { organizationId } = app;
    await app.fail(app.first);
    await app.fail(await app.deploy(dockerfile('b')));
    for (let count = 0; count < 20; count += 1) await app.fail(await app.deploy(dockerfile('c')));
    for (const letter of ['a', 'b', 'c', 'd', 'e']) await anUpload(organizationId, letter);
    const stranger = await aTenant(database.db);
    await anUpload(stranger.organizationId, 'c');
    await letDaysPass(2);
    await renewBuildContext(database.db, { organizationId, sha256: sha('d') });
    const hashes = ['a', 'b', 'c', 'd', 'e'].map(sha);
    const dry = await retain({ isDryRun: true });
    const foretold = await findNeededContexts(database.db, dry.scope, hashes);
    const run = await retain();
    expect(run.items).toEqual(dry.items);
    expect(run.counts).toMatchObject({ revisions: 2, 'context-records': 4 });
    const left = await database.db.selectFrom('build_contexts').select(['organization_id', 'sha256']).execute();
    expect(left.map((row) => row.sha256).sort()).toEqual([sha('c'), sha('d')]);
    expect(left.every((row) => row.organization_id === organizationId)).toBe(true);
    expect(await findNeededContexts(database.db, run.scope, hashes)).toEqual(new Set([sha('c'), sha('d')]));
    expect(foretold).toEqual(new Set([sha('c'), sha('d')]));
  });
});

describe('images that are needed', () => {
  it('are those of revisions that stay, of builds, and of replicas; a dry run knows which revisions will', async () => {
    const app = await aDeployment();
    await rollOut(store, app.deploymentId, app.first);
    for (let count = 0; count < 25; count += 1) {
      const { operationId, revision } = await app.deploy(dockerfile('a'));
      await store.beginRollout({ deploymentId: app.deploymentId, operationId });
      const imageId = `sha256:${String(revision).padStart(64, '0')}`;
      await store.recordBuild({ deploymentId: app.deploymentId, operationId, service: 'app', revision, imageId });
      const failure = { code: 'REPLICA_EXITED', message: 'exited', hint: '' };
      await store.failOperation({ deploymentId: app.deploymentId, operationId, failure });
    }
    const ids = numbers(2, 26).map((number) => `sha256:${String(number).padStart(64, '0')}`);
    const images = [
      ...ids.map((imageId) => ({ imageId, digests: [] })),
      { imageId: image('b'), digests: [image('a')] },
      { imageId: image('c'), digests: [] },
    ];
    const stay = [...ids.slice(5), image('b')];
    const scope = { runId: randomUUID(), policy: DEFAULT_RETENTION };
    expect(await findNeededImages(database.db, { ...scope, isDryRun: true, images })).toEqual(stay);
    expect(await findNeededImages(database.db, { ...scope, isDryRun: false, images })).toEqual([...ids, image('b')]);
    await retain();
    expect(await findNeededImages(database.db, { ...scope, isDryRun: false, images })).toEqual(stay);
  });
});

describe('a run', () => {
  it('counts a page once, whatever is gone through again', async () => {
    const page: Sweep = {
      name: 'one',
      sweepPage: async (pass) => {
        await pass.step(async (_, count) => count('things', { count: 1, bytes: 2 }));
        return null;
      },
    };
    const scope = { runId: randomUUID(), isDryRun: true, policy: DEFAULT_RETENTION };
    await beginRun(database.db, { ...scope, actorUserId: null });
    const sweeps = [page, { ...page, name: 'two' }];
    const answers = await Promise.all([1, 2, 3].map(() => sweepDatabase(database.db, scope, { place: '', sweeps })));
    expect(answers).toEqual(['two:', 'two:', 'two:']);
    expect(await sweepDatabase(database.db, scope, { place: 'two:', sweeps })).toBeNull();
    expect(await sweepDatabase(database.db, scope, { place: 'two:', sweeps })).toBeNull();
    expect(await listItems(database.db, scope.runId, 10)).toEqual([
      { kind: 'things', nodeId: '', reason: '', count: 2, bytes: 4 },
    ]);
  });

  it('that is killed in the middle goes on, and its report is complete', async () => {
    for (let count = 0; count < 3; count += 1) {
      const app = await aDeployment();
      await failMany(app, 24);
      await app.fail(app.first);
    }
    const dry = await retain({ isDryRun: true });
    const scope = { runId: randomUUID(), isDryRun: false, policy: DEFAULT_RETENTION };
    await beginRun(database.db, { ...scope, actorUserId: null });
    for (const stepsLeft of [1, 4, 7]) {
      let left = stepsLeft;
      const onProgress = (): void => {
        left -= 1;
        if (left < 0) throw new Error('killed');
      };
      await expect(sweepDatabase(database.db, scope, { place: '', onProgress })).rejects.toThrow('killed');
    }
    for (let place: string | null = ''; place !== null; ) place = await sweepDatabase(database.db, scope, { place });
    expect(await listItems(database.db, scope.runId, 100)).toEqual(dry.items);
    expect(dry.counts).toMatchObject({ revisions: 15 });
  });

  it('is kept with the twenty-nine before it, and one that was ended from outside does not run for ever', async () => {
    const ids = Array.from({ length: 33 }, () => randomUUID());
    for (const runId of ids) await beginRun(database.db, { runId, isDryRun: false, actorUserId: null });
    expect(await listRuns(database.db)).toHaveLength(30);
    expect(await findRun(database.db, ids[31] ?? '')).toMatchObject({
      ...{ state: 'failed', errorMessage: 'it was ended from outside', finishedAt: expect.any(Date) },
    });
    const runId = ids[32] ?? '';
    await finishRun(database.db, { runId, error: '' });
    expect(await beginRun(database.db, { runId, isDryRun: false, actorUserId: null })).toBe(true);
    expect(await findRun(database.db, runId)).toMatchObject({ state: 'succeeded', errorMessage: '' });
  });
});

import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { aCreation, aReadyNode, aTenant, rollOut } from '../../test/support/control-data.ts';
import { eventually } from '../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { createLog } from '../logging/log.ts';
import { type Change, type ChangeFeed, type ChangeFilter, openChangeFeed } from './changes.ts';
import { type Database, openDatabase } from './database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { createRotationRecords } from './key-rotations.ts';
import { migrate } from './migrate.ts';
import { readIngressSnapshot } from './routes.ts';

const log = createLog({ role: 'test', level: 'silent' });
const feeds: ChangeFeed[] = [];

let server: TestPostgres;
let db: Database;

beforeAll(async () => {
  server = await startPostgres();
  await migrate(server.adminUrl);
  db = openDatabase({ url: server.adminUrl });
});

afterEach(async () => {
  for (const feed of feeds.splice(0)) await feed.close();
});

afterAll(async () => {
  await db.destroy();
  await server.stop();
});

const PLACEMENT = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;

async function aFeed(): Promise<ChangeFeed> {
  const feed = await openChangeFeed({ url: server.adminUrl, log });
  feeds.push(feed);
  return feed;
}

function record(feed: ChangeFeed, filter: ChangeFilter): Change[] {
  const heard: Change[] = [];
  feed.subscribe(filter, (change) => heard.push(change));
  return heard;
}

async function notify(payload: unknown): Promise<void> {
  await sql`SELECT pg_notify('obiente_changes', ${JSON.stringify(payload)})`.execute(db);
}

describe('the change feed', () => {
  it('tells of a deployment to those who asked for it, and to nobody else', async () => {
    const feed = await aFeed();
    const [mine, other] = [randomUUID(), randomUUID()];
    const heard = record(feed, { deploymentId: mine });
    const ingress = record(feed, { ingress: true });
    await notify({ deployment: other });
    await notify({ ingress: 7 });
    await notify({ deployment: mine });
    await eventually(() => expect(heard).toEqual([{ kind: 'deployment', deploymentId: mine }]));
    expect(ingress).toEqual([{ kind: 'ingress', generation: 7 }]);
  });

  it('hears of a disk that fills up, and not of each time that nothing is new', async () => {
    const nodeId = await aReadyNode(db);
    const heard = record(await aFeed(), { nodes: true });
    const store = createDeploymentStore(db, { domain: 'example.test', placement: PLACEMENT });
    const disk = { level: 'full', notice: 'its disk is nearly full: 4 % free' } as const;
    for (const _ of [1, 2]) await store.recordNodeState({ nodeId, state: 'ready', reason: '', disk });
    await notify({ node: 'the-last-one' });
    await eventually(() => expect(heard.at(-1)).toEqual({ kind: 'node', nodeId: 'the-last-one' }));
    expect(heard.filter((change) => change.kind === 'node' && change.nodeId === nodeId)).toHaveLength(1);
  });

  it('hears of every step of a rollout, and once of its new generation', async () => {
    await aReadyNode(db);
    const { generation } = await readIngressSnapshot(db);
    const feed = await aFeed();
    const creation = aCreation(await aTenant(db));
    const store = createDeploymentStore(db, { domain: 'example.test', placement: PLACEMENT });
    const heard = record(feed, { deploymentId: creation.deploymentId });
    const ingress = record(feed, { ingress: true });
    await rollOut(store, creation.deploymentId, await store.storeOperation(creation));
    await eventually(() => expect(heard.length).toBeGreaterThanOrEqual(4));
    expect(ingress).toEqual([
      { kind: 'ingress', generation: generation + 1 },
      { kind: 'ingress', generation: generation + 2 },
    ]);
  });

  it('tells of rotations of the master key to those who asked for them', async () => {
    const feed = await aFeed();
    const heard = record(feed, { keys: true });
    const ingress = record(feed, { ingress: true });
    const call = { rotationId: randomUUID(), masterKeyId: 'a1b2c3d4', actorUserId: randomUUID() };
    const { rotationId } = call;
    const records = createRotationRecords(db);
    await records.beginRotation(call);
    await records.endRotation({ rotationId, failure: null });
    const told = { kind: 'keys', rotationId };
    await eventually(() => expect(heard).toEqual([told, told]));
    expect(ingress).toEqual([]);
  });

  it('tells everybody to read again after its connection was lost', async () => {
    const feed = await aFeed();
    const deploymentId = randomUUID();
    const heard = record(feed, { deploymentId });
    const ingress = record(feed, { ingress: true });
    await server.crash();
    await eventually(() => expect(heard).toContainEqual({ kind: 'resync' }));
    expect(ingress).toContainEqual({ kind: 'resync' });
    await notify({ deployment: deploymentId });
    await eventually(() => expect(heard).toContainEqual({ kind: 'deployment', deploymentId }));
  });

  it('opens without a database, and hears once there is one', async () => {
    const url = new URL(server.adminUrl);
    url.pathname = '/later';
    const feed = await openChangeFeed({ url: url.href, log });
    feeds.push(feed);
    const heard = record(feed, { ingress: true });
    await sql`CREATE DATABASE later`.execute(db);
    await eventually(() => expect(heard).toEqual([{ kind: 'resync' }]));
  });

  it('goes on when a listener throws or a payload means nothing', async () => {
    const feed = await aFeed();
    const deploymentId = randomUUID();
    feed.subscribe({ deploymentId }, () => {
      throw new Error('a bad listener');
    });
    const heard = record(feed, { deploymentId });
    await sql`SELECT pg_notify('obiente_changes', 'not json')`.execute(db);
    await notify({ something: 'else' });
    await notify(null);
    await notify({ deployment: deploymentId });
    await eventually(() => expect(heard).toHaveLength(1));
  });

  it('tells nothing to those who have left, nor after it was closed', async () => {
    const feed = await openChangeFeed({ url: server.adminUrl, log });
    const deploymentId = randomUUID();
    const left: Change[] = [];
    feed.subscribe({ deploymentId }, (change) => left.push(change))();
    const heard = record(feed, { deploymentId });
    await notify({ deployment: deploymentId });
    await eventually(() => expect(heard).toHaveLength(1));
    await feed.close();
    await notify({ deployment: deploymentId });
    expect([left, heard.length]).toEqual([[], 1]);
    const { rows } = await sql`SELECT FROM pg_stat_activity WHERE application_name = 'obiente-changes'`.execute(db);
    expect(rows).toEqual([]);
  });
});

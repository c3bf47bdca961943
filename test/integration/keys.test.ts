import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, describe, expect, it } from 'vitest';
import { openDatabase, ROWS_PER_INSERT } from '../../adapters/postgres/database.ts';
import { makeDataKey } from '../../adapters/sealing/data-keys.ts';
import { readKeyring } from '../../adapters/sealing/keyring.ts';
import { createApi } from '../../cli/client.ts';
import { fixedToken } from '../../cli/tokens.ts';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { type Rotation, RotationState } from '../../gen/obiente/cloud/v1/keys_pb.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { openTokenForge } from './access-tokens.ts';
import { aWebServer, createSubject, type Subject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
/** A transaction of a test lasts while processes are killed and start again. */
const db = openDatabase({ url: platform.databaseUrl, statementTimeoutMs: 120_000 });
const docker = useTestDocker();
const MASTER_KEYS = join(platform.stateDir, 'keys', 'master.key');
const PAYLOAD_KEYS = join(platform.stateDir, 'keys', 'payload.key');
afterAll(async () => {
  api.close();
  await db.destroy();
});

const patient = { patienceMs: 120_000 };
const key = () => ({ idempotencyKey: randomUUID() });

/** Ends processes, and waits until their supervisor has started others. */
async function restart(signal: 'SIGTERM' | 'SIGKILL', ...names: string[]): Promise<void> {
  const pids = await Promise.all(names.map(async (name) => ({ name, pid: await pidOf(platform, name) })));
  for (const { pid } of pids) process.kill(pid, signal);
  for (const { name, pid } of pids) {
    await eventually(async () => expect(await pidOf(platform, name)).not.toBe(pid), patient);
  }
}

/** Turns a file of keys over by the command, and answers with the names of its keys. */
async function change(...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await obiente(platform, 'keys', ...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id);
}

async function aServing(body: string): Promise<Subject> {
  const subject = await createSubject(api, aWebServer(docker.corner.image, body));
  expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
  return subject;
}

/** New containers of the same revision or of a new one: either way a node fetches the variables anew. */
async function serveAgain(subject: Subject, body: string, environment: Record<string, string> = {}): Promise<void> {
  const { id: deploymentId } = subject;
  const setEnvironment = Object.entries(environment).map(([name, value]) => ({ name, value }));
  const ask = async () =>
    setEnvironment.length === 0
      ? (await api.deployments.restartDeployment({ ...key(), deploymentId })).operation
      : (await api.deployments.updateDeployment({ ...key(), deploymentId, setEnvironment })).deployment?.operation;
  const outcome = await eventually(async () => {
    const ended = await subject.outcome((await ask())?.id);
    // A node that was just started may not have been seen yet.
    if (ended.errorCode === 'NO_NODE_READY') throw new Error(ended.errorMessage);
    return ended;
  }, patient);
  expect(outcome).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
  const answer = await askThroughIngress(platform.httpPort, `${subject.name}.localhost`);
  expect(answer).toMatchObject({ status: 200, body: `${body}\n` });
}

/** Waits until the API that answers has this key first. */
async function untilPresent(id: string): Promise<void> {
  await eventually(async () => {
    const { masterKeys } = await api.keys.getKeys({});
    expect(masterKeys[0]).toMatchObject({ id, present: true });
  }, patient);
}

async function untilEnded({ id: rotationId }: Rotation): Promise<Rotation | undefined> {
  return await eventually(async () => {
    let last: Rotation | undefined;
    for await (const { rotation } of api.keys.watchRotation({ rotationId })) last = rotation ?? last;
    return last;
  }, patient);
}

/** Organizations with a data key each, as a large platform has them. */
async function manyOrganizations(count: number): Promise<string[]> {
  const { present } = await readKeyring(MASTER_KEYS, 'MASTER_KEY_FILE');
  const ids = Array.from({ length: count }, () => randomUUID()).sort();
  const organizations = ids.map((id) => ({ id, name: `many-${id}` }));
  const keys = ids.map((organizationId) => {
    const wrapped_key = makeDataKey(present, { organizationId, version: 1 });
    return { id: randomUUID(), organization_id: organizationId, version: 1, wrapped_key };
  });
  expect(count).toBeLessThanOrEqual(ROWS_PER_INSERT);
  await db.insertInto('organizations').values(organizations).execute();
  await db.insertInto('organization_keys').values(keys).execute();
  return ids;
}

describe('the master key', { timeout: 400_000 }, () => {
  it('is rotated while the platform serves and deploys, though the orchestrator is killed in the middle', async () => {
    const subject = await aServing('before');
    const ids = await manyOrganizations(1_000);
    const [old = ''] = (await readKeyring(MASTER_KEYS, 'MASTER_KEY_FILE')).ids;
    const [, next = ''] = await change('add', MASTER_KEYS);
    await restart('SIGTERM', 'api', 'orchestrator');
    await serveAgain(subject, 'before');
    expect(await change('use', MASTER_KEYS, next)).toEqual([next, old]);
    await restart('SIGTERM', 'api', 'orchestrator');
    await untilPresent(next);
    const { masterKeys } = await api.keys.getKeys({});
    const total = masterKeys.find(({ id }) => id === old)?.dataKeys ?? 0n;
    expect(total).toBeGreaterThan(1_000n);

    const begun = await db.transaction().execute(async (tx) => {
      // A data key in the middle that cannot be changed for now: the rotation comes as far as there.
      const middle = tx
        .selectFrom('organization_keys')
        .select('id')
        .where('organization_id', '=', ids[500] ?? '');
      await middle.forUpdate().execute();
      const { rotation } = await eventually(async () => await api.keys.rotateMasterKey(key()), patient);
      if (!rotation) throw new Error('answered without a rotation');
      await eventually(async () => {
        const now = await api.keys.getKeys({});
        expect(now.rotation).toMatchObject({ id: rotation.id, state: RotationState.RUNNING });
        expect(now.rotation?.rewrapped).toBeGreaterThanOrEqual(100n);
      }, patient);
      await restart('SIGKILL', 'orchestrator');
      return rotation;
    });
    await serveAgain(subject, 'during', { BODY: 'during' });
    const ended = await untilEnded(begun);
    expect(ended).toMatchObject({ state: RotationState.SUCCEEDED, masterKeyId: next, rewrapped: total });

    const shown = await obiente(platform, 'keys');
    expect(shown.stdout).toMatch(new RegExp(`^${old} +0 +unwraps; nothing needs it$`, 'm'));
    expect(await change('drop', MASTER_KEYS, old)).toEqual([next]);
    await restart('SIGTERM', 'api', 'orchestrator');
    await untilPresent(next);
    await serveAgain(subject, 'during');
    await serveAgain(subject, 'after', { BODY: 'after' });
    await subject.remove();
    await db.deleteFrom('organizations').where('name', 'like', 'many-%').execute();
  });

  it('is seen and rotated by operators of the platform only', async () => {
    const forge = await openTokenForge(platform);
    const token = forge.make({ claims: { sub: `stranger-${randomUUID()}` } });
    const stranger = createApi({ url: platform.apiUrl, tokens: fixedToken(token) });
    await expect(stranger.keys.getKeys({})).rejects.toThrow('operators of the platform');
    await expect(stranger.keys.rotateMasterKey(key())).rejects.toThrow('operators of the platform');
    stranger.close();
    const rotated = await obiente(platform, 'keys', 'rotate');
    expect(rotated).toMatchObject({ code: 0, stdout: expect.stringMatching(/succeeded .*, 0 data keys wrapped\n$/) });
  });
});

describe('the data key of an organization', { timeout: 240_000 }, () => {
  it('is renewed while its deployments serve, and what the older one sealed stays readable', async () => {
    const subject = await aServing('old');
    const organizationId = (await api.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
    const { version } = await api.keys.renewDataKey({ ...key(), organizationId });
    expect(version).toBeGreaterThan(1);
    await restart('SIGTERM', 'api');
    await serveAgain(subject, 'old');
    await serveAgain(subject, 'old', { NEW: 'sealed by the new one' });
    await subject.remove();
  });
});

describe('the payload key', { timeout: 400_000 }, () => {
  it('is rotated while a deployment lives, whose history goes on', async () => {
    const subject = await aServing('one');
    const [old = '', next = ''] = await change('add', PAYLOAD_KEYS);
    await restart('SIGTERM', 'api', 'orchestrator', 'node');
    await serveAgain(subject, 'two', { BODY: 'two' });
    await change('use', PAYLOAD_KEYS, next);
    await restart('SIGTERM', 'api', 'orchestrator', 'node');
    await eventually(async () => {
      expect((await api.keys.getKeys({})).payloadKeyIds).toEqual([next, old]);
    }, patient);
    await serveAgain(subject, 'three', { BODY: 'three' });
    expect(await payloadKeysOf(subject)).toEqual([old, next]);
    await subject.remove();
  });
});

/** Names of the keys in a deployment's history, in the order in which they appear. */
async function payloadKeysOf({ id }: Subject): Promise<string[]> {
  const connection = await Connection.connect({ address: platform.temporalAddress });
  const { workflow } = new Client({ connection });
  const history = await workflow.getHandle(deploymentWorkflowId(id)).fetchHistory();
  await connection.close();
  const text = JSON.stringify(history);
  const names = [...text.matchAll(/"encryption-key-id":"([^"]+)"/g)].map(([, name = '']) => name);
  return [...new Set(names.map((name) => Buffer.from(name, 'base64').toString()))];
}

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { OperationsService } from '../../gen/obiente/cloud/v1/operations_pb.ts';
import { WebhooksService } from '../../gen/obiente/cloud/v1/webhooks_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { gitHubPush } from '../../test/support/github-push.ts';
import { refusalOf } from '../../test/support/refusal.ts';
import { type ApiServer, openApiServer } from '../server.ts';
import { createWebhookRoute } from './webhooks.ts';

const URL_OF_REPOSITORY = 'https://github.com/acme/shop.git';

let rig: ApiRig;
let server: ApiServer;
let alice: Awaited<ReturnType<ApiRig['user']>>;

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  const log = createLog({ role: 'test', level: 'silent' });
  const { db, sealing, workflows } = rig;
  const route = createWebhookRoute({ db, sealing, workflows, log, git: { allowedHosts: [] } });
  const listen = { host: '127.0.0.1', port: 0, routes: () => undefined, httpRoutes: [route], corsOrigins: [], log };
  server = await openApiServer(listen);
});
afterAll(async () => {
  await server.stop(100);
  await rig.stop();
});

const webhooks = () => rig.clientOf(WebhooksService, 'alice');

async function aHook(git: Record<string, unknown> = {}) {
  const name = `app-${randomUUID().slice(0, 8)}`;
  const spec = { source: { case: 'git', value: { url: URL_OF_REPOSITORY, ref: 'main', ...git } } } as const;
  const creation = { idempotencyKey: randomUUID(), projectId: alice.projectId, name, spec };
  const deploymentId = (await alice.deployments.createDeployment(creation)).deployment?.id ?? '';
  const { webhook, secret } = await webhooks().createWebhook({ idempotencyKey: randomUUID(), deploymentId });
  return { deploymentId, path: webhook?.path ?? '', id: webhook?.id ?? '', secret, url: URL_OF_REPOSITORY };
}

async function deliver(path: string, request: RequestInit) {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, request);
  const body = (await answer.json()) as { operationId?: string; reason?: string; code?: string };
  return { ...body, status: answer.status, retryAfter: answer.headers.get('retry-after') };
}

async function operationsOf(deploymentId: string) {
  return (await rig.clientOf(OperationsService, 'alice').listOperations({ deploymentId })).operations;
}

describe('a delivery', () => {
  it('of a push to the branch stores one operation, however often it comes', async () => {
    const hook = await aHook();
    const push = gitHubPush({ ...hook, deliveryId: randomUUID() });
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => deliver(hook.path, push)));
    answers.push(await deliver(hook.path, push));
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(202));
    expect(new Set(answers.map(({ operationId }) => operationId)).size).toBe(1);
    const [newest, creation, ...others] = await operationsOf(hook.deploymentId);
    expect([creation?.revision, others]).toEqual([1, []]);
    const reason = 'push of aaaaaaa to main by alice';
    expect(newest).toMatchObject({ id: answers[0]?.operationId, revision: 2, reason, actorUserId: hook.id });
    const { webhook } = await webhooks().getWebhook({ deploymentId: hook.deploymentId });
    expect(webhook).toMatchObject({ id: hook.id, lastAnswer: reason });
    const other = await deliver(hook.path, gitHubPush({ ...hook, commit: 'b'.repeat(40) }));
    expect(other.status).toBe(202);
    expect(await operationsOf(hook.deploymentId)).toHaveLength(3);
  });

  it('that concerns nothing is answered with the reason, and changes nothing', async () => {
    const hook = await aHook();
    const pinned = await aHook({ ref: 'c'.repeat(40) });
    for (const [to, change] of [
      [hook, { ref: 'refs/heads/other' }],
      [hook, { ref: 'refs/tags/main' }],
      [hook, { commit: '0'.repeat(40) }],
      [hook, { url: 'https://github.com/mallory/shop.git' }],
      [hook, { event: 'ping' }],
      [hook, { event: 'issues' }],
      [pinned, {}],
    ] as const) {
      const answer = await deliver(to.path, gitHubPush({ ...to, ...change }));
      expect(answer).toMatchObject({ status: 200, reason: expect.stringMatching(/./) });
    }
    for (const { deploymentId } of [hook, pinned]) expect(await operationsOf(deploymentId)).toHaveLength(1);
  });

  it('that is not proven, or is for nobody, is refused and leaves no trace', async () => {
    const [hook, other] = [await aHook(), await aHook()];
    const push = gitHubPush(hook);
    const { 'x-hub-signature-256': _, ...unsigned } = push.headers;
    for (const [status, path, request] of [
      [401, hook.path, gitHubPush({ ...hook, secret: 'guessed' })],
      [401, hook.path, gitHubPush({ ...hook, secret: other.secret })],
      [401, hook.path, { ...push, body: `${push.body} ` }],
      [401, hook.path, { ...push, headers: unsigned }],
      [400, hook.path, { ...push, headers: { ...unsigned, 'x-github-event': '' } }],
      [400, hook.path, { ...push, headers: { ...push.headers, 'x-github-delivery': '' } }],
      [400, hook.path, { ...push, headers: { ...push.headers, 'content-type': 'text/plain' } }],
      [413, hook.path, { ...push, body: 'x'.repeat(1024 * 1024 + 1) }],
      [404, `/webhooks/${randomUUID()}`, push],
      [404, '/webhooks/', push],
      [404, `/webhooks/${hook.id}/x`, push],
      [404, `/webhooks/..%2f${hook.id}`, push],
      [405, hook.path, { method: 'GET' }],
    ] as const) {
      expect(await deliver(path, request)).toMatchObject({ status });
    }
    expect(await operationsOf(hook.deploymentId)).toHaveLength(1);
    const { webhook } = await webhooks().getWebhook({ deploymentId: hook.deploymentId });
    expect(webhook?.lastDeliveryAt).toBeUndefined();
  });

  it('is taken while workflows are away, and sent again it is the same operation', async () => {
    const hook = await aHook();
    const push = gitHubPush(hook);
    rig.world.workflowsAway = true;
    expect(await deliver(hook.path, push)).toMatchObject({ status: 202 });
    rig.world.workflowsAway = false;
    expect(await deliver(hook.path, push)).toMatchObject({ status: 202 });
    expect(await operationsOf(hook.deploymentId)).toHaveLength(2);
  });

  it('is refused by number while many are read, which takes nothing from who comes later', async () => {
    const hook = await aHook();
    const head = `POST ${hook.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n`;
    const slow = Array.from({ length: 32 }, () => connect(server.port, '127.0.0.1'));
    await Promise.all(slow.map((socket) => once(socket, 'connect')));
    for (const socket of slow) socket.write(head);
    await expect.poll(async () => (await deliver(hook.path, gitHubPush(hook))).status, { timeout: 5_000 }).toBe(429);
    for (const socket of slow) socket.destroy();
    await expect.poll(async () => (await deliver(hook.path, gitHubPush(hook))).status, { timeout: 5_000 }).toBe(202);
  });
});

describe('a webhook', () => {
  it('shows its secret to the request that made it, and to no other', async () => {
    const { deploymentId, id, secret } = await aHook();
    expect(secret).toMatch(/^[\w-]{43}$/);
    const again = await webhooks().createWebhook({ idempotencyKey: randomUUID(), deploymentId });
    expect([again.webhook?.id, again.secret]).toEqual([id, '']);
    const rotation = { idempotencyKey: randomUUID(), deploymentId };
    const rotated = await webhooks().rotateWebhook(rotation);
    expect(rotated.webhook?.id).toBe(id);
    expect(rotated.secret).not.toBe(secret);
    expect((await webhooks().rotateWebhook(rotation)).secret).toBe(rotated.secret);
    await webhooks().rotateWebhook({ idempotencyKey: randomUUID(), deploymentId });
    expect((await webhooks().rotateWebhook(rotation)).secret).toBe('');
    const { rows } = await sql<{ row: string }>`SELECT t::text AS row FROM webhooks t`.execute(rig.db);
    for (const shown of [secret, rotated.secret]) expect(JSON.stringify(rows)).not.toContain(shown);
  });

  it('refuses deliveries with the old secret after a rotation, and is gone after its removal', async () => {
    const hook = await aHook();
    const { secret } = await webhooks().rotateWebhook({
      idempotencyKey: randomUUID(),
      deploymentId: hook.deploymentId,
    });
    expect(await deliver(hook.path, gitHubPush(hook))).toMatchObject({ status: 401 });
    expect(await deliver(hook.path, gitHubPush({ ...hook, secret }))).toMatchObject({ status: 202 });
    const removal = { idempotencyKey: randomUUID(), deploymentId: hook.deploymentId };
    await webhooks().deleteWebhook(removal);
    await webhooks().deleteWebhook(removal);
    expect(await deliver(hook.path, gitHubPush({ ...hook, secret }))).toMatchObject({ status: 404 });
    const found = webhooks().getWebhook({ deploymentId: hook.deploymentId });
    expect(await refusalOf(found)).toMatchObject({ code: 'NotFound' });
  });

  it('of another organization cannot be seen, changed or made', async () => {
    const { deploymentId } = await aHook();
    await rig.user('mallory');
    const theirs = rig.clientOf(WebhooksService, 'mallory');
    const asked = { idempotencyKey: randomUUID(), deploymentId };
    for (const call of [theirs.getWebhook, theirs.createWebhook, theirs.rotateWebhook, theirs.deleteWebhook]) {
      expect(await refusalOf(call(asked))).toMatchObject({ code: 'NotFound' });
    }
  });
});

import { randomUUID } from 'node:crypto';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAlertEvaluator } from '../../adapters/postgres/alerts/evaluator.ts';
import { AlertState, AlertsService } from '../../gen/obiente/cloud/v1/alerts_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { refusalOf } from '../../test/support/refusal.ts';

let rig: ApiRig;
let [organizationId, deploymentId] = ['', ''];

beforeAll(async () => {
  rig = await startApiRig();
  const alice = await rig.user('alice');
  organizationId = alice.organizationId;
  const spec = { source: { case: 'image', value: { reference: 'nginx:1' } } } as const;
  const { deployment } = await alice.deployments.createDeployment({
    ...{ idempotencyKey: randomUUID(), projectId: alice.projectId, name: 'shop', spec },
  });
  deploymentId = deployment?.id ?? '';
  await rig.user('mallory');
});
afterAll(() => rig.stop());

const as = (user: string) => rig.clientOf(AlertsService, user);
const inAnHour = () => timestampFromDate(new Date(Date.now() + 3_600_000));

/** Makes an alert of the deployment fire, or end. */
async function evaluate(cpuPercent: number): Promise<void> {
  await createAlertEvaluator(rig.db).evaluateDeployments([deploymentId], new Map([[deploymentId, { cpuPercent }]]));
}

describe('alerts', () => {
  it('are listed and streamed for members, and the end of one is history', async () => {
    await as('alice').setAlertRule({ deploymentId, rule: 'cpu', fireAt: 50, for: { seconds: 0n } });
    const leave = new AbortController();
    const stream = as('alice').watchAlerts({ organizationId }, { signal: leave.signal });
    const told = stream[Symbol.asyncIterator]();
    const next = async () => {
      for (;;) {
        const { value, done } = await told.next();
        if (done || value.alert) return value?.alert;
      }
    };
    expect((await told.next()).value).toMatchObject({});
    await evaluate(70);
    expect(await next()).toMatchObject({ rule: 'cpu', state: AlertState.FIRING, deploymentName: 'shop', value: 70 });
    expect((await as('alice').listAlerts({ organizationId })).alerts).toMatchObject([{ rule: 'cpu', silenced: false }]);
    await evaluate(1);
    // The rule clears after two minutes without it.
    expect((await as('alice').listAlerts({ organizationId })).alerts).toHaveLength(1);
    await rig.db
      .updateTable('alerts')
      .set({ clear_since: new Date(Date.now() - 600_000) })
      .execute();
    await evaluate(1);
    expect(await next()).toMatchObject({ rule: 'cpu', state: AlertState.RESOLVED, resolution: 'cleared' });
    expect((await as('alice').listAlerts({ organizationId })).alerts).toEqual([]);
    expect((await as('alice').listAlerts({ organizationId, history: true })).alerts).toHaveLength(1);
    leave.abort();
  });

  it('are nobody else’s, and operators see all of them', async () => {
    expect(await refusalOf(as('mallory').listAlerts({ organizationId }))).toMatchObject({ error: 'NOT_FOUND' });
    expect(await refusalOf(as('alice').listAlerts({}))).toMatchObject({ error: 'INVALID_ARGUMENT' });
    const { alerts } = await as(OPERATOR).listAlerts({ history: true });
    expect(alerts.map((alert) => alert.organizationId)).toContain(organizationId);
  });
});

describe('rules', () => {
  it('are built in until they are set, and again when they are reset', async () => {
    await as('alice').setAlertRule({ deploymentId, rule: 'memory', fireAt: 50 });
    const find = async () =>
      (await as('alice').listAlertRules({ deploymentId })).rules.find(({ name }) => name === 'memory');
    expect(await find()).toMatchObject({ fireAt: 50, clearAt: 45, customized: true, enabled: true });
    await as('alice').resetAlertRule({ deploymentId, rule: 'memory' });
    expect(await find()).toMatchObject({ fireAt: 90, clearAt: 85, customized: false });
  });

  it('refuse what would flap, and rules of nodes', async () => {
    const set = (rule: string, clearAt: number) =>
      refusalOf(as('alice').setAlertRule({ deploymentId, rule, fireAt: 10, clearAt }));
    expect(await set('cpu', 20)).toMatchObject({ error: 'INVALID_ARGUMENT', field: 'clear_at' });
    expect(await set('node-lost', 1)).toMatchObject({ error: 'INVALID_ARGUMENT', field: 'rule' });
  });
});

describe('silences', () => {
  it('are made once per key, listed, and ended', async () => {
    const request = { idempotencyKey: randomUUID(), organizationId, deploymentId, until: inAnHour(), reason: 'work' };
    const { silence } = await as('alice').createSilence(request);
    expect((await as('alice').createSilence(request)).silence?.id).toBe(silence?.id);
    expect((await as('alice').listSilences({ organizationId })).silences).toMatchObject([
      { reason: 'work', deploymentId },
    ]);
    const other = { organizationId: (await rig.user('mallory')).organizationId, silenceId: silence?.id ?? '' };
    expect(await refusalOf(as('mallory').deleteSilence(other))).toMatchObject({ error: 'NOT_FOUND' });
    await as('alice').deleteSilence({ organizationId, silenceId: silence?.id ?? '' });
    expect((await as('alice').listSilences({ organizationId })).silences).toEqual([]);
  });

  it('have an end, and members silence no nodes', async () => {
    const make = (changes: object) =>
      refusalOf(
        as('alice').createSilence({ idempotencyKey: randomUUID(), organizationId, until: inAnHour(), ...changes }),
      );
    const late = timestampFromDate(new Date(Date.now() + 40 * 24 * 3_600_000));
    expect(await make({ until: late })).toMatchObject({ error: 'INVALID_ARGUMENT', field: 'until' });
    expect(await make({ nodeId: 'node-1' })).toMatchObject({ error: 'INVALID_ARGUMENT', field: 'node_id' });
    expect(await make({ rule: 'nonsense' })).toMatchObject({ error: 'INVALID_ARGUMENT', field: 'rule' });
  });
});

describe('targets', () => {
  const add = (url: string, name = `hook-${randomUUID().slice(0, 8)}`) => {
    const target = { case: 'webhook', value: { url, secret: 'a-secret-of-the-webhook' } } as const;
    return as('alice').createNotificationTarget({ idempotencyKey: randomUUID(), organizationId, name, target });
  };

  it('keep their secrets to themselves, and their paths', async () => {
    const { target } = await add('https://hooks.example.com/services/T0/very-secret', 'chat');
    expect(target).toMatchObject({ kind: 'webhook', leadsTo: 'https://hooks.example.com/…', platform: false });
    const row = await rig.db.selectFrom('notification_targets').selectAll().executeTakeFirstOrThrow();
    expect(row.sealed_secret).not.toContain('a-secret-of-the-webhook');
    expect(JSON.stringify(await as('alice').listNotificationTargets({ organizationId }), bigints)).not.toContain(
      'secret',
    );
  });

  it('are on the internet, or allowed by the operator', async () => {
    for (const url of ['https://169.254.169.254/', 'https://localhost/', 'https://10.1.2.3/', 'http://example.com/']) {
      expect(await refusalOf(add(url))).toMatchObject({ error: 'INVALID_ARGUMENT', field: 'webhook.url' });
    }
    await add('http://hooks.example.test/');
  });

  it('are tried by a notification in the outbox, once per key', async () => {
    const request = { idempotencyKey: randomUUID(), organizationId, name: 'chat' };
    const { notificationId } = await as('alice').testNotificationTarget(request);
    expect((await as('alice').testNotificationTarget(request)).notificationId).toBe(notificationId);
    const { targets } = await as('alice').listNotificationTargets({ organizationId });
    expect(targets.find(({ name }) => name === 'chat')).toMatchObject({ waiting: 1, failed: 0 });
  });

  it('are told of the platform only when an operator says so', async () => {
    const request = { organizationId, name: 'chat', platform: true };
    expect(await refusalOf(as('alice').setPlatformTarget(request))).toMatchObject({ error: 'PERMISSION_DENIED' });
    expect((await as(OPERATOR).setPlatformTarget(request)).target).toMatchObject({ platform: true });
    await as('alice').deleteNotificationTarget({ organizationId, name: 'chat' });
    expect(await rig.db.selectFrom('notifications').select('id').execute()).toEqual([]);
  });
});

const bigints = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);

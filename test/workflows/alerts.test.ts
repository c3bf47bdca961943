import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDeliverNotification } from '../../activities/deliver-notification.ts';
import { createEvaluateAlerts } from '../../activities/evaluate-alerts.ts';
import { withFailures } from '../../activities/failures.ts';
import { postWebhook } from '../../adapters/notifications/post-webhook.ts';
import { createDeliveryRecords } from '../../adapters/postgres/alerts/deliveries.ts';
import { createAlertEvaluator } from '../../adapters/postgres/alerts/evaluator.ts';
import { listUndispatched, markDispatched } from '../../adapters/postgres/alerts/outbox.ts';
import { startDelivery } from '../../adapters/temporal/delivery-gateway.ts';
import { ensureAlertsSchedule } from '../../adapters/temporal/schedules.ts';
import { startWorker } from '../../adapters/temporal/worker.ts';
import { ALERTS_SCHEDULE } from '../../contracts/alerts.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { deliverOnce, evaluateOnce, QUICK_DELIVERY } from '../support/alert-workflows.ts';
import { aReadyNode, aTenant } from '../support/control-data.ts';
import { useTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

const SECRET = 'a secret that only both know';
const database = useTestDatabase();
let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

describe('the workflow that evaluates', { timeout: 120_000 }, () => {
  it('looks, evaluates, and hands out what is to be told', async () => {
    const { called, outcome } = await evaluateOnce(rig);
    expect(called.toSorted().slice(2)).toEqual(['observeCertificates', 'observeStreamers']);
    expect([called.at(-2), called.at(-1), outcome]).toEqual(['evaluateAlerts', 'dispatchNotifications', 'done']);
  });

  it('evaluates although nobody is there to look, and hands out although it cannot evaluate', async () => {
    expect((await evaluateOnce(rig, { observers: null })).called).toEqual(['evaluateAlerts', 'dispatchNotifications']);
    const evaluateAlerts = async (): Promise<never> => {
      throw new Error('the database is away');
    };
    const { called, outcome } = await evaluateOnce(rig, { alerts: { evaluateAlerts } });
    expect([called.at(-1), outcome]).toEqual(['dispatchNotifications', 'failed']);
  });
});

describe('the workflow that delivers', { timeout: 120_000 }, () => {
  it('tries again until it is taken', async () => {
    expect(await deliverOnce(rig, { failures: 3 })).toMatchObject({ attempts: 4, givenUp: [] });
  });

  it('gives up what is refused for good at once, and everything else after its time, where people see it', async () => {
    const refused = await deliverOnce(rig, { failures: 1, code: 'DELIVERY_REFUSED' });
    expect(refused).toMatchObject({ attempts: 1, givenUp: ['refused 1 times'] });
    const failed = await deliverOnce(rig, { failures: Number.POSITIVE_INFINITY, giveUpMs: 5_000 });
    expect(failed.attempts).toBeGreaterThan(1);
    expect(failed.givenUp).toHaveLength(1);
  });
});

describe('an alert on the way from the database to a receiver', { timeout: 120_000 }, () => {
  it('is told once at its begin and once at its end, although the receiver fails and evaluations overlap', async () => {
    const { db } = database;
    const received: { readonly event: unknown; readonly isSigned: boolean; readonly id: unknown }[] = [];
    let failures = 2;
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      if (failures-- > 0) return void response.writeHead(503).end();
      const [, t, v1] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(`${request.headers['obiente-signature']}`) ?? [];
      const body = Buffer.concat(parts).toString();
      const isSigned = createHmac('sha256', SECRET).update(`${t}.${body}`).digest('hex') === v1;
      received.push({ event: request.headers['obiente-event'], isSigned, id: JSON.parse(body).id });
      response.writeHead(204).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;

    const { organizationId } = await aTenant(db);
    const nodeId = await aReadyNode(db);
    const config = JSON.stringify({ kind: 'webhook', url: `http://127.0.0.1:${port}/` });
    await db
      .insertInto('notification_targets')
      .values({
        id: randomUUID(),
        organization_id: organizationId,
        name: 'hook',
        config,
        sealed_secret: 'sealed',
        platform: true,
      })
      .execute();
    const evaluation = createEvaluateAlerts({
      alerts: createAlertEvaluator(db),
      usage: { read: async () => new Map() },
      outbox: {
        listUndispatched: () => listUndispatched(db),
        start: (notificationId) => startDelivery(rig.client, { notificationId, timing: QUICK_DELIVERY }),
        markDispatched: (ids) => markDispatched(db, ids),
      },
      onNoUsage: () => undefined,
    });
    const delivery = createDeliverNotification({
      records: createDeliveryRecords(db),
      openSecret: async () => SECRET,
      postWebhook: (target, notification, secret) =>
        postWebhook(target, notification, secret, { allowedHosts: [`127.0.0.1:${port}`], now: Date.now }),
      sendMail: async () => undefined,
    });
    const worker = await startWorker(rig.connection, rig.temporal, {
      ...{ taskQueue: CONTROL_QUEUE, workflowBundle: rig.workflowBundle, maxActivities: 10 },
      activities: withFailures({ ...evaluation, ...delivery }),
    });
    const setState = (state: 'ready' | 'lost') =>
      db.updateTable('nodes').set({ state, reason: 'silent for 10 s' }).where('id', '=', nodeId).execute();
    try {
      await setState('lost');
      // Others evaluate beside the schedule, as on a change.
      await Promise.all(Array.from({ length: 4 }, () => createAlertEvaluator(db).evaluateNodes([nodeId])));
      const timing = { observeMs: 100, evaluateMs: 10_000 };
      for (let i = 0; i < 2; i += 1) await ensureAlertsSchedule(rig.client, { everyMs: 1_000, timing });
      await eventually(() => expect(received.map(({ event }) => event)).toEqual(['alert.fired']), {
        patienceMs: 40_000,
      });
      await setState('ready');
      await eventually(() => expect(received.map(({ event }) => event)).toEqual(['alert.fired', 'alert.resolved']), {
        patienceMs: 40_000,
      });
      const { info } = await rig.client.schedule.getHandle(ALERTS_SCHEDULE).describe();
      expect(info.numActionsTaken).toBeGreaterThan(1);
      expect(received.every(({ isSigned }) => isSigned)).toBe(true);
      expect(new Set(received.map(({ id }) => id)).size).toBe(2);
      const rows = await db.selectFrom('notifications').select(['state', 'attempts', 'last_error']).execute();
      expect(rows.map(({ attempts }) => attempts).toSorted()).toEqual([1, 3]);
      expect(rows.every(({ state, last_error }) => state === 'delivered' && last_error === null)).toBe(true);
    } finally {
      await rig.client.schedule.getHandle(ALERTS_SCHEDULE).delete();
      await worker.stop();
      server.closeAllConnections();
      server.close();
    }
  });
});

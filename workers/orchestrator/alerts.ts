import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { createDeliverNotification, type DeliveryDeps } from '../../activities/deliver-notification.ts';
import { createEvaluateAlerts, type Outbox, type UsageReadings } from '../../activities/evaluate-alerts.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { sendMail } from '../../adapters/mail/send-mail.ts';
import { postWebhook } from '../../adapters/notifications/post-webhook.ts';
import { createDeliveryRecords } from '../../adapters/postgres/alerts/deliveries.ts';
import { createAlertEvaluator } from '../../adapters/postgres/alerts/evaluator.ts';
import { listUndispatched, markDispatched } from '../../adapters/postgres/alerts/outbox.ts';
import { openChangeFeed } from '../../adapters/postgres/changes.ts';
import { type Database, openDatabase } from '../../adapters/postgres/database.ts';
import { createDataKeyStore } from '../../adapters/postgres/organization-keys.ts';
import type { Keyring } from '../../adapters/sealing/keyring.ts';
import { createSealing } from '../../adapters/sealing/sealing.ts';
import { createTemporalClient, type TemporalAddress } from '../../adapters/temporal/client.ts';
import { startDelivery } from '../../adapters/temporal/delivery-gateway.ts';
import { ensureAlertsSchedule } from '../../adapters/temporal/schedules.ts';
import { openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import type { orchestratorVariables } from '../../config/orchestrator.ts';
import { DEFAULT_ALERT_TIMING, DEFAULT_DELIVERY_TIMING, EVALUATE_EVERY_MS } from '../../contracts/alerts.ts';
import { targetSecretPlace } from '../../domain/alerts/targets.ts';
import type { OrchestratorTelemetry } from '../telemetry/orchestrator-telemetry.ts';
import { followChanges } from './follow-changes.ts';
import { keepTrying } from './keep-trying.ts';
import { createUsageReadings } from './usage-readings.ts';

type Config = z.infer<typeof orchestratorVariables>;

/** Evaluations wait for each other, and must not keep a rollout waiting. */
const DATABASE = { maxConnections: 3, statementTimeoutMs: 10_000 };

/** What alerts need of the orchestrator. */
export interface AlertsWorld {
  readonly config: Config;
  readonly masterKeys: Keyring;
  readonly temporal: TemporalAddress;
  readonly telemetry: OrchestratorTelemetry;
  readonly log: Log;
}

/** What the orchestrator has of alerts. */
export interface OrchestratedAlerts {
  /** Activities for the control queue. */
  readonly activities: object;
  /** Sees to it, in the background, that the schedule is there and that changes are followed. */
  schedule(): void;
  close(): Promise<void>;
}

/** Opens the activities of alerts, on connections of their own. */
export async function openAlerts({
  config,
  masterKeys,
  temporal,
  telemetry,
  log,
}: AlertsWorld): Promise<OrchestratedAlerts> {
  const db = openDatabase({ url: config.DATABASE_URL, ...DATABASE });
  const { client, close } = createTemporalClient(temporal);
  const closing = new AbortController();
  const metrics = openUsage(config, db);
  const alerts = createAlertEvaluator(db);
  const outbox: Outbox = {
    listUndispatched: () => listUndispatched(db),
    start: (notificationId) => startDelivery(client, { notificationId, timing: DEFAULT_DELIVERY_TIMING }),
    markDispatched: (ids) => markDispatched(db, ids),
  };
  const evaluation = createEvaluateAlerts({
    ...{ alerts, outbox, usage: metrics.usage },
    onNoUsage: (err) => log.warn({ err }, 'alerts on what is measured have no data'),
    onEvaluated: telemetry.evaluated,
  });
  const sealing = createSealing({ masterKeys, store: createDataKeyStore(db) });
  const deliveries = createDeliverNotification({
    ...(await openSenders(config)),
    records: createDeliveryRecords(db),
    openSecret: ({ id, organizationId, sealedSecret }) =>
      sealing.open({ ...targetSecretPlace({ organizationId }), version: id, sealed: sealedSecret }),
    onAttempt: telemetry.attempted,
  });
  const evaluateNow = async (work: Promise<{ readonly fired: number; readonly resolved: number }>): Promise<void> => {
    const { fired, resolved } = await work;
    if (fired + resolved > 0) await evaluation.dispatchNotifications();
  };
  const follow = async (): Promise<void> => {
    const changes = await openChangeFeed({ url: config.DATABASE_URL, log });
    await followChanges(
      {
        ...{ changes, log },
        evaluateDeployments: (ids) => evaluateNow(alerts.evaluateDeployments(ids, null)),
        evaluateNodes: (ids) => evaluateNow(alerts.evaluateNodes(ids)),
      },
      closing.signal,
    ).finally(() => changes.close());
  };
  const schedule = { everyMs: EVALUATE_EVERY_MS, timing: DEFAULT_ALERT_TIMING };
  let working: Promise<unknown> | undefined;
  return {
    activities: { ...evaluation, ...deliveries },
    schedule: () => {
      const scheduled = keepTrying(() => ensureAlertsSchedule(client, schedule), {
        ...{ what: 'the schedule of the alerts', log, signal: closing.signal },
      });
      const failed = (err: unknown): void => log.error({ err }, 'changes are not followed any more');
      working ??= Promise.all([scheduled, follow().catch(failed)]);
    },
    close: async () => {
      closing.abort();
      await close();
      await working;
      await metrics.close();
      await db.destroy();
    },
  };
}

/** Reads the metrics database, and the control database in whose tables rows lie while that one is away. */
function openUsage(config: Config, db: Database): { readonly usage: UsageReadings; close(): Promise<void> } {
  const url = config.METRICS_READER_DATABASE_URL;
  // Nobody has said where metrics are read: nothing is known of them, which is not news.
  if (url === undefined) return { usage: { read: async () => new Map() }, close: async () => undefined };
  const [main, standIn] = [openMetricsDatabase(url), openMetricsDatabase(config.DATABASE_URL)];
  return {
    usage: createUsageReadings(db, createMetricsReader(main, standIn)),
    close: async () => {
      await Promise.all([standIn.destroy(), main.destroy()]);
    },
  };
}

async function openSenders(config: Config): Promise<Pick<DeliveryDeps, 'postWebhook' | 'sendMail'>> {
  const ca = config.ALERTS_CA_FILE === undefined ? undefined : await readFile(config.ALERTS_CA_FILE, 'utf8');
  const rules = { allowedHosts: config.ALERTS_ALLOWED_HOSTS, ca };
  return {
    postWebhook: (target, notification, secret) =>
      postWebhook(target, notification, secret, { ...rules, now: () => Date.now() }),
    sendMail: (target, notification, password) => sendMail(target, notification, password, rules),
  };
}

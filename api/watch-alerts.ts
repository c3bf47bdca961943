import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type AlertFilter,
  type AlertRecord,
  listAlerts,
  listAlertsAfter,
  newestAlertVersion,
} from '../adapters/postgres/alerts/alert-records.ts';
import type { ChangeFeed } from '../adapters/postgres/changes.ts';
import type { Database } from '../adapters/postgres/database.ts';
import type { WatchAlertsResponseSchema } from '../gen/obiente/cloud/v1/alerts_pb.ts';
import { createWakeUp } from './wake-up.ts';
import { toWireAlert } from './wire/alert.ts';

/** Alerts read and sent at a time. */
const BATCH = 200;

/** What a watch needs. */
export interface WatchAlertsDeps {
  readonly db: Database;
  readonly changes: Pick<ChangeFeed, 'subscribe'>;
  readonly heartbeatMs: number;
  readonly signal: AbortSignal;
}

/** Whose alerts, and from where on. */
export interface WatchAlertsRequest {
  /** `null` for all organizations and the platform. */
  readonly organizationId: string | null;
  /** 0 begins with those that fire. */
  readonly afterVersion: number;
}

/**
 * Streams alerts: those that fire, then each change in its order.
 *
 * Versions are given under a lock and in the order of commits, so reading on from the last one misses none; the feed only
 * wakes. A slow reader is told the newest state of an alert that has changed several times meanwhile.
 */
export async function* watchAlerts(
  { db, changes, heartbeatMs, signal }: WatchAlertsDeps,
  { organizationId, afterVersion }: WatchAlertsRequest,
): AsyncGenerator<MessageInitShape<typeof WatchAlertsResponseSchema>> {
  const changed = createWakeUp();
  const unsubscribe = changes.subscribe({ alertsOf: organizationId }, () => changed.wake());
  signal.addEventListener('abort', unsubscribe, { once: true });
  const filter: AlertFilter = { organizationId, withResolved: true };
  try {
    let version = afterVersion;
    if (version === 0) {
      version = await newestAlertVersion(db);
      for await (const alert of listFiring(db, organizationId)) yield { alert: toWireAlert(alert) };
      yield {};
    }
    for (;;) {
      signal.throwIfAborted();
      const news = await listAlertsAfter(db, filter, { after: version, limit: BATCH });
      for (const alert of news) yield { alert: toWireAlert(alert) };
      version = news.at(-1)?.version ?? version;
      if (news.length === BATCH) continue;
      if (!(await changed.wait(heartbeatMs, signal)) && !signal.aborted) yield {};
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', unsubscribe);
  }
}

/** What fires at the moment, oldest change first. */
async function* listFiring(db: Database, organizationId: string | null): AsyncGenerator<AlertRecord> {
  const filter: AlertFilter = { organizationId, withResolved: false };
  const found: AlertRecord[] = [];
  for (let before: number | undefined; ; before = found.at(-1)?.version) {
    const page = await listAlerts(db, filter, { limit: BATCH, before });
    found.push(...page);
    if (page.length < BATCH || found.length >= MOST_FIRING) break;
  }
  yield* found.toReversed();
}

/** Alerts that fire and are told at the begin of a stream, at most; of more than these the newest. */
const MOST_FIRING = 2_000;

import { sql } from 'kysely';
import { parseRule, type Severity } from '../../../domain/alerts/alert-rules.ts';
import { isSilenced, type Silence } from '../../../domain/alerts/silences.ts';
import type { Database } from '../database.ts';
import { readSilences } from './silence-records.ts';

/** An alert that fires or has fired. */
export interface AlertRecord {
  readonly id: string;
  readonly organizationId: string | null;
  readonly rule: string;
  readonly severity: Severity;
  readonly state: 'firing' | 'resolved';
  readonly deploymentId: string | null;
  readonly deploymentName: string;
  readonly nodeId: string | null;
  readonly summary: string;
  readonly value: number;
  readonly unit: string;
  readonly firedAt: Date;
  readonly noDataSince: Date | null;
  readonly resolvedAt: Date | null;
  readonly resolution: string | null;
  readonly isSilenced: boolean;
  readonly version: number;
}

/** Which alerts. */
export interface AlertFilter {
  /** `null` for those of all organizations and of the platform. */
  readonly organizationId: string | null;
  readonly deploymentId?: string | undefined;
  /** Whether those that have ended are wanted too. */
  readonly withResolved: boolean;
}

/** Lists alerts, the newest change first. */
export async function listAlerts(
  db: Database,
  filter: AlertFilter,
  { limit, before }: { readonly limit: number; readonly before: number | undefined },
): Promise<AlertRecord[]> {
  const rows = await select(db, filter)
    .$if(before !== undefined, (query) => query.where('version', '<', before ?? 0))
    .orderBy('version', 'desc')
    .limit(limit)
    .execute();
  return await toRecords(db, rows);
}

/** Lists alerts that changed after a version, in the order of their changes: each as it is now. */
export async function listAlertsAfter(
  db: Database,
  filter: AlertFilter,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<AlertRecord[]> {
  const rows = await select(db, filter).where('version', '>', after).orderBy('version').limit(limit).execute();
  return await toRecords(db, rows);
}

/** The version of the newest change that is committed. */
export async function newestAlertVersion(db: Database): Promise<number> {
  const { version } = await db.selectFrom('alert_clock').select('version').executeTakeFirstOrThrow();
  return version;
}

/** How many alerts fire, by severity, and how many notifications stand how. */
export async function countAlerts(db: Database): Promise<{
  readonly firing: Readonly<Record<Severity, number>>;
  readonly notifications: Readonly<Record<'waiting' | 'failed', number>>;
}> {
  const { rows } = await sql<Record<'warning' | 'critical' | 'waiting' | 'failed', number>>`
    SELECT
      (SELECT count(*) FROM alerts WHERE state = 'firing' AND severity = 'warning')::integer AS warning,
      (SELECT count(*) FROM alerts WHERE state = 'firing' AND severity = 'critical')::integer AS critical,
      (SELECT count(*) FROM notifications WHERE state = 'waiting')::integer AS waiting,
      (SELECT count(*) FROM notifications WHERE state = 'failed' AND finished_at > now() - interval '1 day')::integer
        AS failed`.execute(db);
  const { warning = 0, critical = 0, waiting = 0, failed = 0 } = rows[0] ?? {};
  return { firing: { warning, critical }, notifications: { waiting, failed } };
}

function select(db: Database, { organizationId, deploymentId, withResolved }: AlertFilter) {
  return db
    .selectFrom('alerts')
    .select(['id', 'organization_id as organizationId', 'rule', 'severity', 'state', 'deployment_id as deploymentId'])
    .select(['deployment_name as deploymentName', 'node_id as nodeId', 'value', 'detail', 'fired_at as firedAt'])
    .select(['no_data_since as noDataSince', 'resolved_at as resolvedAt', 'resolution', 'version', 'pending_at'])
    .where('state', 'in', withResolved ? ['firing', 'resolved'] : ['firing'])
    .$if(organizationId !== null, (query) => query.where('organization_id', '=', organizationId ?? ''))
    .$if(deploymentId !== undefined, (query) => query.where('deployment_id', '=', deploymentId ?? ''));
}

type Row = Awaited<ReturnType<ReturnType<typeof select>['execute']>>[number];

async function toRecords(db: Database, rows: readonly Row[]): Promise<AlertRecord[]> {
  if (rows.length === 0) return [];
  const now = new Date();
  const silences = await readSilences(db, now);
  return rows.map((row) => toRecord(row, silences, now));
}

function toRecord(row: Row, silences: readonly Silence[], now: Date): AlertRecord {
  const { summary, unit } = parseRule('rule', row.rule);
  const { detail, pending_at, state, firedAt, ...rest } = row;
  return {
    ...rest,
    state: state === 'resolved' ? 'resolved' : 'firing',
    firedAt: firedAt ?? pending_at,
    summary: detail === '' ? summary : `${summary} (${detail})`,
    unit,
    isSilenced: state === 'firing' && isSilenced(row, silences, now.getTime()),
  };
}

import { randomUUID } from 'node:crypto';
import { durationMs, timestampDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { type AlertRecord, listAlerts } from '../../adapters/postgres/alerts/alert-records.ts';
import { readOverrides, resetOverride, setOverride } from '../../adapters/postgres/alerts/rule-records.ts';
import { createSilence, deleteSilence, listSilences } from '../../adapters/postgres/alerts/silence-records.ts';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { type AlertRule, BUILT_IN_RULES, checkOverride, parseRule } from '../../domain/alerts/alert-rules.ts';
import { LONGEST_SILENCE_MS } from '../../domain/alerts/silences.ts';
import { invalidArgument } from '../../domain/errors.ts';
import type { AlertsService, CreateSilenceRequest } from '../../gen/obiente/cloud/v1/alerts_pb.ts';
import { getCaller, getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { watchAlerts } from '../watch-alerts.ts';
import { toWireAlert, toWireRule, toWireSilence } from '../wire/alert.ts';
import { readPage } from '../wire/page.ts';
import { createNotificationTargets, type TargetsDeps } from './notification-targets.ts';

/** What the service of alerts needs. */
export interface AlertsDeps extends TargetsDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  /** Silence after which a stream sends a sign of life, milliseconds. */
  readonly heartbeatMs: number;
  readonly now: () => Date;
}

const RULES: readonly AlertRule[] = BUILT_IN_RULES.filter(({ subject }) => subject === 'deployment');

/** Creates the service of alerts. */
export function createAlertsService(deps: AlertsDeps): ServiceImpl<typeof AlertsService> {
  const { db, now } = deps;
  return {
    ...createNotificationTargets(deps),
    async listAlerts({ page: asked, deploymentId, history }, context) {
      const { organizationId } = getCaller(context);
      const filter = { organizationId, deploymentId: deploymentId.toLowerCase() || undefined, withResolved: history };
      const { rows, page } = await readPage(asked, {
        identity: { list: 'alerts', filters: [organizationId ?? '', filter.deploymentId ?? '', `${history}`] },
        forms: ['number'],
        keyOf: ({ version }: AlertRecord) => [`${version}`],
        read: ({ limit, after }) => listAlerts(db, filter, { limit, before: after && Number(after[0]) }),
      });
      return { alerts: rows.map(toWireAlert), page };
    },
    watchAlerts({ afterVersion }, context) {
      const request = { organizationId: getCaller(context).organizationId, afterVersion: Number(afterVersion) };
      return watchAlerts({ ...deps, signal: context.signal }, request);
    },
    async listAlertRules({ deploymentId }) {
      const overrides = await readOverrides(db, deploymentId.toLowerCase());
      return { rules: RULES.map((rule) => toWireRule(rule, overrides.get(rule.name))) };
    },
    async setAlertRule({ deploymentId: given, rule: name, disabled, fireAt, clearAt, for: duration }, context) {
      const deploymentId = given.toLowerCase();
      const rule = ruleOfDeployments(name);
      const override = {
        ...{ isEnabled: !disabled, fireAt: fireAt ?? null, clearAt: clearAt ?? null },
        forMs: duration === undefined ? null : durationMs(duration),
      };
      checkOverride(rule, override);
      const by = { organizationId: getCallerOrganization(context), actorUserId: getCaller(context).userId };
      await setOverride(db, { deploymentId, rule: rule.name, override, ...by });
      return { rule: toWireRule(rule, override) };
    },
    async resetAlertRule({ deploymentId, rule: name }) {
      const rule = ruleOfDeployments(name);
      await resetOverride(db, { deploymentId: deploymentId.toLowerCase(), rule: rule.name });
      return { rule: toWireRule(rule, undefined) };
    },
    async createSilence(request, context) {
      const { organizationId, userId: actorUserId, role } = getCaller(context);
      const until = endOf(request, now());
      if (request.nodeId !== '' && role !== null) {
        throw invalidArgument('node_id', 'found a node', 'none; nodes are of the platform, and so are their alerts');
      }
      const rule = request.rule === '' ? null : parseRule('rule', request.rule).name;
      const of = { rule, deploymentId: request.deploymentId.toLowerCase() || null, nodeId: request.nodeId || null };
      const { idempotencyKey, reason } = request;
      const parts = [organizationId, of.rule, of.deploymentId, of.nodeId, until.getTime(), reason];
      const requestHash = hashRequest('CreateSilence', ...parts);
      const silence = { id: randomUUID(), organizationId, ...of, until, reason, actorUserId };
      return { silence: toWireSilence(await createSilence(db, { ...silence, idempotencyKey, requestHash })) };
    },
    async listSilences(_request, context) {
      return { silences: (await listSilences(db, getCaller(context).organizationId)).map(toWireSilence) };
    },
    async deleteSilence({ silenceId }, context) {
      const { organizationId } = getCaller(context);
      await deleteSilence(db, { organizationId, silenceId: silenceId.toLowerCase() });
      return {};
    },
  };
}

function ruleOfDeployments(name: string): AlertRule {
  const rule = parseRule('rule', name);
  if (rule.subject === 'deployment') return rule;
  throw invalidArgument('rule', `rule ${name} is about nodes`, `one of ${RULES.map((one) => one.name).join(', ')}`);
}

function endOf({ until: given }: CreateSilenceRequest, now: Date): Date {
  const until = given ? timestampDate(given) : now;
  const leftMs = until.getTime() - now.getTime();
  if (leftMs > 0 && leftMs <= LONGEST_SILENCE_MS) return until;
  throw invalidArgument('until', 'found another time', 'a time from now to 31 days from now');
}

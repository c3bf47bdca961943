import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { AlertRecord } from '../../adapters/postgres/alerts/alert-records.ts';
import type { SilenceRecord } from '../../adapters/postgres/alerts/silence-records.ts';
import type { TargetRecord } from '../../adapters/postgres/alerts/target-records.ts';
import { type AlertRule, overridden, type RuleOverride, type Severity } from '../../domain/alerts/alert-rules.ts';
import { describeTarget } from '../../domain/alerts/targets.ts';
import {
  type AlertRuleSchema,
  type AlertSchema,
  AlertSeverity,
  AlertState,
  type NotificationTargetSchema,
  type SilenceSchema,
} from '../../gen/obiente/cloud/v1/alerts_pb.ts';

const SEVERITY: Record<Severity, AlertSeverity> = {
  warning: AlertSeverity.WARNING,
  critical: AlertSeverity.CRITICAL,
};

/** An alert on the wire. */
export function toWireAlert(alert: AlertRecord): MessageInitShape<typeof AlertSchema> {
  const { firedAt, noDataSince, resolvedAt } = alert;
  return {
    ...{ id: alert.id, organizationId: alert.organizationId ?? '', rule: alert.rule, unit: alert.unit },
    ...{ severity: SEVERITY[alert.severity], summary: alert.summary, value: alert.value },
    state: alert.state === 'firing' ? AlertState.FIRING : AlertState.RESOLVED,
    ...{ deploymentId: alert.deploymentId ?? '', deploymentName: alert.deploymentName, nodeId: alert.nodeId ?? '' },
    firedAt: timestampFromDate(firedAt),
    ...(noDataSince ? { noDataSince: timestampFromDate(noDataSince) } : {}),
    ...(resolvedAt ? { resolvedAt: timestampFromDate(resolvedAt) } : {}),
    ...{ resolution: alert.resolution ?? '', silenced: alert.isSilenced, version: BigInt(alert.version) },
  };
}

/** A rule on the wire, as it is with what was set. */
export function toWireRule(
  builtIn: AlertRule,
  override: RuleOverride | undefined,
): MessageInitShape<typeof AlertRuleSchema> {
  const rule = override ? overridden(builtIn, override) : builtIn;
  return {
    ...{ name: rule.name, summary: rule.summary, severity: SEVERITY[rule.severity], unit: rule.unit },
    ...{ enabled: override?.isEnabled ?? true, customized: override !== undefined, adjustable: rule.isAdjustable },
    ...{ below: rule.direction === 'below', fireAt: rule.fireAt, clearAt: rule.clearAt },
    for: durationFromMs(rule.forMs),
  };
}

/** A silence on the wire. */
export function toWireSilence(silence: SilenceRecord): MessageInitShape<typeof SilenceSchema> {
  return {
    ...{ id: silence.id, organizationId: silence.organization_id ?? '', rule: silence.rule ?? '' },
    ...{ deploymentId: silence.deployment_id ?? '', nodeId: silence.node_id ?? '', reason: silence.reason },
    ...{ actorUserId: silence.actor_user_id, until: timestampFromDate(silence.until) },
    createdAt: timestampFromDate(silence.created_at),
  };
}

/** A target on the wire: its secret never is, and the path of a webhook is one as well. */
export function toWireTarget(target: TargetRecord): MessageInitShape<typeof NotificationTargetSchema> {
  const { id, organizationId, name, platform, waiting, failed, deliveredAt } = target;
  return {
    ...{ id, organizationId, name, platform, waiting, failed, kind: target.config.kind },
    ...{ leadsTo: describeTarget(target.config), lastError: target.lastError ?? '' },
    createdAt: timestampFromDate(target.createdAt),
    ...(deliveredAt ? { deliveredAt: timestampFromDate(deliveredAt) } : {}),
  };
}

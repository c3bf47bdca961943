import type { Generated } from 'kysely';
import type { Severity } from '../../domain/alerts/alert-rules.ts';
import type { NotificationKind } from '../../domain/alerts/notification.ts';
import type { TargetConfig } from '../../domain/alerts/targets.ts';
import type { Json, Moment, Optional } from './columns.ts';

/** How the delivery of a notification stands. */
export type NotificationState = 'waiting' | 'delivered' | 'failed';

/** How an alert ended. */
export type AlertResolution = 'cleared' | 'gone' | 'off';

/** The tables of alerts, a part of the schema. */
export interface AlertTables {
  alert_rules: {
    deployment_id: string;
    organization_id: string;
    rule: string;
    enabled: boolean;
    fire_at: Optional<number>;
    clear_at: Optional<number>;
    for_ms: Optional<number>;
    actor_user_id: string;
    changed_at: Moment;
  };
  alert_clock: {
    only_row: Generated<boolean>;
    version: number;
    evaluated_at: Optional<Date>;
  };
  alerts: {
    id: string;
    organization_id: Optional<string>;
    rule: string;
    subject: string;
    deployment_id: Optional<string>;
    deployment_name: Generated<string>;
    node_id: Optional<string>;
    severity: Severity;
    state: 'pending' | 'firing' | 'resolved';
    value: number;
    detail: Generated<string>;
    pending_at: Date;
    fired_at: Optional<Date>;
    clear_since: Optional<Date>;
    no_data_since: Optional<Date>;
    resolved_at: Optional<Date>;
    resolution: Optional<AlertResolution>;
    told: Generated<boolean>;
    version: Generated<number>;
  };
  silences: {
    id: string;
    organization_id: Optional<string>;
    rule: Optional<string>;
    deployment_id: Optional<string>;
    node_id: Optional<string>;
    until: Date;
    reason: string;
    actor_user_id: string;
    created_at: Moment;
  };
  notification_targets: {
    id: string;
    organization_id: string;
    name: string;
    config: Json<TargetConfig>;
    sealed_secret: Optional<string>;
    platform: Generated<boolean>;
    created_at: Moment;
  };
  notifications: {
    id: string;
    alert_id: Optional<string>;
    target_id: string;
    kind: NotificationKind;
    state: Generated<NotificationState>;
    attempts: Generated<number>;
    last_error: Optional<string>;
    created_at: Moment;
    dispatched_at: Optional<Date>;
    finished_at: Optional<Date>;
  };
  streamer_observations: {
    node_id: string;
    observed_at: Date;
    reachable: boolean;
    healthy: boolean;
    breaker_state: number;
    spool_age_seconds: Optional<number>;
    rows_lost: number;
    dropped_at: Optional<Date>;
  };
  certificate_observations: {
    hostname: string;
    checked_at: Date;
    not_after: Optional<Date>;
  };
}

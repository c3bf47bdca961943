import type { Generated } from 'kysely';
import type { OrphanRecord } from '../../../contracts/orphans.ts';
import type { MetricsPeriodKind } from '../../../domain/metrics/retention.ts';
import type { Moment, Optional } from '../columns.ts';

/** What a run of retention is. */
export type RetentionState = 'running' | 'succeeded' | 'failed';

/** The tables of retention's own reports. */
export interface RetentionSchema {
  retention_runs: {
    id: string;
    dry_run: boolean;
    actor_user_id: Optional<string>;
    node_id: Generated<string>;
    state: RetentionState;
    error_message: Generated<string>;
    place: Generated<string>;
    started_at: Moment;
    finished_at: Optional<Date>;
  };
  retention_periods: {
    organization_id: string;
    kind: MetricsPeriodKind;
    keep_hours: number;
    updated_at: Moment;
  };
  metered_deployments: {
    deployment_id: string;
    organization_id: string;
    name: string;
    seen_at: Moment;
  };
  retention_orphans: {
    run_id: string;
    node_id: string;
    kind: OrphanRecord['kind'];
    object_id: string;
    name: string;
    outcome: OrphanRecord['outcome'];
    reason: Generated<string>;
  };
  retention_items: {
    run_id: string;
    kind: string;
    node_id: Generated<string>;
    reason: Generated<string>;
    count: number;
    bytes: Optional<number>;
  };
}

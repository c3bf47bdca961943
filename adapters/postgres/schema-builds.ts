import type { Generated } from 'kysely';
import type { Json, Moment } from './columns.ts';

/** How a build goes, or ended. */
export type BuildState = 'waiting' | 'building' | 'succeeded' | 'failed' | 'cancelled';

/** A line of a build's log: when, milliseconds since 1970; what; and a third element where the platform says it. */
export type StoredLogLine = readonly [number, string] | readonly [number, string, 1];

/** A line of a failed replica: when, milliseconds since 1970; 1 for stderr; what. */
export type StoredFailureLine = readonly [number, 0 | 1, string];

/** The tables of what builds and failed replicas print, and of where built images are. */
export interface BuildTables {
  build_logs: {
    deployment_id: string;
    revision: number;
    service: string;
    attempt: number;
    attempts: Generated<number>;
    base_number: Generated<number>;
    last_number: Generated<number>;
    head_bytes: Generated<number>;
    head_lines: Generated<number>;
    tail_bytes: Generated<number>;
    tail_lines: Generated<number>;
    complete: Generated<boolean>;
  };
  build_log_chunks: {
    deployment_id: string;
    revision: number;
    service: string;
    first_number: number;
    last_number: number;
    is_head: boolean;
    size_bytes: number;
    lines: Json<readonly StoredLogLine[]>;
    stored_at: Moment;
  };
  failure_logs: {
    deployment_id: string;
    operation_id: string;
    replica_id: string;
    service: string;
    revision: number;
    failed_at: Moment;
    shortened: boolean;
    lines: Json<readonly StoredFailureLine[]>;
  };
  image_copies: {
    deployment_id: string;
    image_id: string;
    node_id: string;
    given_at: Moment;
  };
}

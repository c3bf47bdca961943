import type { Generated } from 'kysely';
import type { Moment, Optional } from './columns.ts';

/** How far a snapshot is. */
export type SnapshotState = 'running' | 'succeeded' | 'failed';

/** The tables of volumes as `migrations/` makes them. */
export interface VolumeTables {
  volumes: {
    id: string;
    organization_id: string;
    project_id: string;
    name: string;
    node_id: Optional<string>;
    writer_deployment_id: Optional<string>;
    writer_service: Optional<string>;
    removing: Generated<boolean>;
    created_at: Moment;
    restoring_from: Optional<string>;
    restore_error: Optional<string>;
    copy: Generated<number>;
    last_copy: Generated<number>;
  };
  volume_carries: {
    volume_id: string;
    operation_id: string;
    state: Generated<'going' | 'carried' | 'returned'>;
    from_node: string;
    from_copy: number;
    to_node: Optional<string>;
    to_copy: number;
  };
  left_volumes: {
    volume_id: string;
    successor_id: string;
    operation_id: string;
    returned: Generated<boolean>;
  };
  volume_leftovers: {
    volume_id: string;
    copy: number;
    node_id: string;
    recorded_at: Moment;
  };
  volume_snapshots: {
    id: string;
    organization_id: string;
    project_id: string;
    volume_id: string;
    volume_name: string;
    volume_copy: Generated<number>;
    node_id: string;
    state: SnapshotState;
    size_bytes: Optional<number>;
    sha256: Optional<string>;
    error_code: Optional<string>;
    error_message: Optional<string>;
    removing: Generated<boolean>;
    created_at: Moment;
    finished_at: Optional<Date>;
  };
}

import type { Generated } from 'kysely';
import type { Moment, Optional } from './columns.ts';

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
  };
}

import type { Generated } from 'kysely';
import type { ByDatabase, Moment, Optional } from './columns.ts';

/** The tables of keys, a part of the schema. */
export interface KeyTables {
  organization_keys: {
    id: string;
    organization_id: string;
    version: number;
    wrapped_key: string;
    master_key_id: ByDatabase<string>;
    created_at: Moment;
  };
  key_rotations: {
    id: string;
    sequence: ByDatabase<number>;
    master_key_id: string;
    state: 'running' | 'succeeded' | 'failed';
    rewrapped: Generated<number>;
    actor_user_id: string;
    error_code: Optional<string>;
    error_message: Optional<string>;
    error_hint: Optional<string>;
    created_at: Moment;
    finished_at: Optional<Date>;
  };
}

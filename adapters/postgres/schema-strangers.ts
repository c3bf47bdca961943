import type { Moment } from './columns.ts';

/** The table of what the reconciliation has found and nobody owns, as `migrations/` makes it. */
export interface StrangerTables {
  strangers: {
    node_id: string;
    container_id: string;
    kind: 'orphan' | 'forged';
    name: string;
    reason: string;
    found_at: Moment;
  };
}

import type { Generated } from 'kysely';
import type { DiskLevel } from '../../domain/disk-guard.ts';
import type { NodeLabels } from '../../domain/node-labels.ts';
import type { ByDatabase, Json, Moment, Optional } from './columns.ts';

/** What a node is. */
export type NodeState = 'ready' | 'degraded' | 'lost' | 'draining' | 'cordoned';

/** How the emptying of a node stands. */
export type DrainState = 'running' | 'done' | 'stopped';

/** A public key as a JSON Web Key. The database refuses one with a private part. */
export type PublicJwk = Readonly<Record<string, unknown>>;

/** How a rebalance stands. */
export type RebalanceState = 'running' | 'done' | 'stopped';

/** The tables of nodes, a part of the schema. */
export interface NodeTables {
  nodes: {
    id: string;
    hostname: string;
    state: NodeState;
    reason: string;
    cpu_cores: number;
    memory_bytes: number;
    docker_version: string;
    architecture: string;
    nixpacks_version: Generated<string>;
    address: string;
    gateway_url: string;
    streamer_url: string;
    signing_jwk: Json<PublicJwk>;
    encryption_jwk: Json<PublicJwk>;
    lease_expires_at: Date;
    lease_holder: Optional<string>;
    epoch: Generated<number>;
    last_seen_at: Date;
    labels: Json<NodeLabels>;
    cordoned: Generated<boolean>;
    disk_level: Generated<DiskLevel>;
    disk_notice: Generated<string>;
    /** Swarm's id of its host. */
    swarm_node_id: Optional<string>;
    swarm_manager: Generated<boolean>;
    created_at: Moment;
  };
  node_tokens: {
    id: string;
    hash: string;
    created_by: string;
    created_at: Moment;
    expires_at: Date;
    used_at: Optional<Date>;
    used_by: Optional<string>;
    revoked_at: Optional<Date>;
  };
  node_admissions: {
    node_id: string;
    signing_jwk: Json<PublicJwk>;
    encryption_jwk: Json<PublicJwk>;
    admitted_at: Moment;
    revoked_at: Optional<Date>;
  };
  node_drains: {
    node_id: string;
    id: string;
    state: DrainState;
    actor_user_id: string;
    reason: string;
    with_volumes: Generated<boolean>;
    created_at: Moment;
    changed_at: Moment;
    finished_at: Optional<Date>;
  };
  rebalances: {
    id: string;
    sequence: ByDatabase<number>;
    state: RebalanceState;
    actor_user_id: string;
    planned: number;
    ended: Generated<number>;
    moved: Generated<number>;
    created_at: Moment;
    finished_at: Optional<Date>;
  };
  placement_rotation: {
    only_row: Generated<boolean>;
    node_id: string;
  };
}

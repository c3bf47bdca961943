import type { Generated } from 'kysely';
import type { OperationKind, OperationState } from '../../domain/operation.ts';
import type { DeploymentSpec } from '../../domain/spec.ts';
import type { ByDatabase, Json, Moment, Optional } from './columns.ts';
import type { RetentionSchema } from './retention/schema.ts';
import type { AlertTables } from './schema-alerts.ts';
import type { BuildState, BuildTables } from './schema-builds.ts';
import type { GitTables } from './schema-git.ts';
import type { KeyTables } from './schema-keys.ts';
import type { NodeTables } from './schema-nodes.ts';
import type { StrangerTables } from './schema-strangers.ts';
import type { VolumeTables } from './schema-volumes.ts';

/** Role of a user in an organization, from most to least. */
export type Role = 'owner' | 'admin' | 'member' | 'viewer';

/** What a replica is. */
export type ReplicaState = 'starting' | 'healthy' | 'unhealthy' | 'exited' | 'removing';

/** The tables as `migrations/` makes them; a test holds the two together. */
export interface Schema
  extends AlertTables,
    GitTables,
    KeyTables,
    BuildTables,
    NodeTables,
    RetentionSchema,
    StrangerTables,
    VolumeTables {
  users: {
    id: string;
    issuer: string;
    subject: string;
    email: string;
    created_at: Moment;
  };
  organizations: {
    id: string;
    name: string;
    created_at: Moment;
  };
  memberships: {
    organization_id: string;
    user_id: string;
    role: Role;
    created_at: Moment;
  };
  projects: {
    id: string;
    organization_id: string;
    name: string;
    created_at: Moment;
  };
  deployments: {
    id: string;
    organization_id: string;
    project_id: string;
    name: string;
    revision: number;
    serving_revision: Generated<number>;
    current_revision: Generated<number>;
    stopped: Generated<boolean>;
    cohort: Optional<number>;
    canary_revision: Optional<number>;
    canary_weight_percent: Optional<number>;
    deleting: Generated<boolean>;
    created_at: Moment;
    updated_at: Moment;
  };
  deployment_services: {
    deployment_id: string;
    name: string;
    revision: number;
    replicas: number;
  };
  revisions: {
    deployment_id: string;
    number: number;
    spec: Json<DeploymentSpec>;
    operation_id: string;
    next_index: Generated<number>;
    copy_of: Optional<number>;
    created_at: Moment;
  };
  revision_images: {
    deployment_id: string;
    revision: number;
    service: string;
    image_digest: string;
  };
  builds: {
    deployment_id: string;
    revision: number;
    service: string;
    node_id: string;
    operation_id: string;
    image_id: Optional<string>;
    created_at: Moment;
    finished_at: Optional<Date>;
    state: Generated<BuildState>;
    reference: Optional<string>;
  };
  operations: {
    id: string;
    sequence: ByDatabase<number>;
    organization_id: string;
    project_id: string;
    deployment_id: string;
    deployment_name: string;
    idempotency_key: string;
    request_hash: string;
    kind: OperationKind;
    state: OperationState;
    revision: number;
    actor_user_id: string;
    reason: Generated<string>;
    scale_service: Optional<string>;
    scale_replicas: Optional<number>;
    move_from: Optional<string>;
    move_to: Optional<string>;
    move_replicas: Optional<number>;
    move_volumes: Generated<boolean>;
    kept_services: Json<Readonly<Record<string, number>>>;
    cohort: Optional<number>;
    waits_for: Generated<string>;
    /** Whether the operation that was under way is cancelled for it. */
    supersede_running: Generated<boolean>;
    /** When the deployment's workflow has put it in line. */
    taken_at: Optional<Date>;
    superseded_by: Optional<string>;
    error_code: Optional<string>;
    error_message: Optional<string>;
    error_hint: Optional<string>;
    created_at: Moment;
    started_at: Optional<Date>;
    finished_at: Optional<Date>;
  };
  deployment_events: {
    sequence: ByDatabase<number>;
    deployment_id: string;
    organization_id: string;
    at: Moment;
    operation_id: Optional<string>;
    kind: string;
    message: string;
    replica_id: Optional<string>;
    actor_user_id: Optional<string>;
    details: Json<Readonly<Record<string, number>>>;
  };
  replicas: {
    deployment_id: string;
    replica_id: string;
    service: string;
    revision: number;
    index: number;
    node_id: string;
    operation_id: Optional<string>;
    batch: Optional<number>;
    drained_by: Optional<string>;
    state: ReplicaState;
    serving: Generated<boolean>;
    cpu_cores: number;
    memory_bytes: number;
    container_id: Optional<string>;
    address_host: Optional<string>;
    address_port: Optional<number>;
    image_digest: Optional<string>;
    exit_code: Optional<number>;
    out_of_memory: Generated<boolean>;
    started_at: Optional<Date>;
    created_at: Moment;
    restarts: Generated<number>;
    restart_streak: Generated<number>;
    health_reason: Generated<string>;
    next_restart_at: Optional<Date>;
    gone: Generated<boolean>;
    state_since: ByDatabase<Date>;
  };
  doomed_replicas: {
    node_id: string;
    deployment_id: string;
    revision: number;
    index: number;
    project_id: string;
    recorded_at: Moment;
  };
  doomed_deployments: {
    node_id: string;
    deployment_id: string;
    project_id: string;
    recorded_at: Moment;
  };
  routes: {
    id: string;
    organization_id: string;
    deployment_id: string;
    service: string;
    hostname: string;
    created_at: Moment;
  };
  ingress_generation: {
    only_row: Generated<boolean>;
    generation: number;
    changed_in: string;
  };
  build_contexts: {
    organization_id: string;
    sha256: string;
    size_bytes: number;
    entries: number;
    created_at: Moment;
    last_used_at: Moment;
  };
  registry_credentials: {
    id: string;
    organization_id: string;
    host: string;
    username: string;
    sealed_password: string;
    version: Optional<string>;
    fingerprint: string;
    created_at: Moment;
  };
  mutation_keys: {
    scope: string;
    key: string;
    request_hash: string;
    resource_id: string;
    created_at: Moment;
  };
}

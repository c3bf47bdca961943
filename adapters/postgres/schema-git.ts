import type { ComposeSpec } from '../../domain/spec.ts';
import type { Moment, Optional, OptionalJson } from './columns.ts';

/** The tables of sources in Git repositories. */
export interface GitTables {
  revision_sources: {
    deployment_id: string;
    revision: number;
    service: string;
    commit: string;
    created_at: Moment;
  };
  source_readings: {
    deployment_id: string;
    revision: number;
    operation_id: string;
    node_id: string;
    found: Optional<'compose' | 'image'>;
    spec: OptionalJson<ComposeSpec>;
    created_at: Moment;
  };
  git_credentials: {
    id: string;
    organization_id: string;
    target: string;
    kind: 'https' | 'ssh';
    username: string;
    sealed_secret: string;
    fingerprint: string;
    public_key: string;
    known_hosts: string;
    created_at: Moment;
  };
  webhooks: {
    id: string;
    deployment_id: string;
    secret_id: string;
    sealed_secret: string;
    created_at: Moment;
    rotated_at: Moment;
    last_delivery_at: Optional<Date>;
    last_answer: Optional<string>;
  };
}

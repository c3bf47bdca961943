import type { Moment, Optional } from './columns.ts';

/** The tables of sources in Git repositories. */
export interface GitTables {
  revision_sources: {
    deployment_id: string;
    revision: number;
    service: string;
    commit: string;
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

-- What replicas had printed when their rollout gave them up: their containers are gone. A few of each deployment.
CREATE TABLE failure_logs (
  deployment_id uuid NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
  operation_id uuid NOT NULL,
  replica_id text NOT NULL CHECK (length(replica_id) <= 64),
  service text NOT NULL,
  revision integer NOT NULL,
  failed_at timestamptz(3) NOT NULL DEFAULT now(),
  -- Whether there were lines before these.
  shortened boolean NOT NULL,
  -- [milliseconds since 1970, 0 for stdout and 1 for stderr, text], oldest first.
  lines jsonb NOT NULL,
  PRIMARY KEY (operation_id, replica_id)
);
CREATE INDEX failure_logs_newest ON failure_logs (deployment_id, failed_at DESC);

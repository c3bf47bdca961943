-- What a run of retention decided about single things of a node, by Docker's id: written before anything is removed.
CREATE TABLE retention_orphans (
  run_id uuid NOT NULL REFERENCES retention_runs (id) ON DELETE CASCADE,
  node_id text NOT NULL CHECK (length(node_id) BETWEEN 1 AND 64),
  kind text NOT NULL CHECK (kind IN ('container', 'network')),
  object_id text NOT NULL CHECK (object_id ~ '^[0-9a-f]{64}$'),
  name text NOT NULL CHECK (length(name) <= 255),
  outcome text NOT NULL CHECK (outcome IN ('decided', 'would-go', 'removed', 'spared')),
  -- Why it was spared.
  reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
  PRIMARY KEY (run_id, node_id, object_id)
);

-- Containers with this installation's labels that no record owns, or that claim to be what they are not. Told of, and
-- never routed to or removed. A row goes when its daemon says that the container does not exist.
CREATE TABLE strangers (
  node_id text NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  container_id text NOT NULL CHECK (length(container_id) BETWEEN 1 AND 64),
  kind text NOT NULL CHECK (kind IN ('orphan', 'forged')),
  name text NOT NULL CHECK (length(name) <= 256),
  reason text NOT NULL CHECK (length(reason) <= 500),
  found_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (node_id, container_id)
);

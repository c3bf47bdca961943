-- What a node's host is in its Docker Swarm. A host of a swarm belongs to one node, so that no other one is let at its
-- services.
ALTER TABLE nodes
  ADD COLUMN swarm_node_id text UNIQUE CHECK (swarm_node_id ~ '^[0-9a-z]{25}$'),
  ADD COLUMN swarm_manager boolean NOT NULL DEFAULT false,
  ADD CHECK (swarm_node_id IS NOT NULL OR NOT swarm_manager);

-- Whether a node's disk has room. While it is full the node takes no new replicas, and the notice says why, for people.
ALTER TABLE nodes
  ADD COLUMN disk_level text NOT NULL DEFAULT 'room' CHECK (disk_level IN ('room', 'low', 'full')),
  ADD COLUMN disk_notice text NOT NULL DEFAULT '' CHECK (length(disk_notice) <= 255);

-- The one node that a run looked at; empty for a run of everything. Names it without referring to it: nodes go.
ALTER TABLE retention_runs ADD COLUMN node_id text NOT NULL DEFAULT '' CHECK (length(node_id) <= 64);

-- A volume goes to another node with the deployment that mounts it. Each copy has a name of its own on Docker, so nothing
-- that is late can touch another copy; numbers are given once and never again.
ALTER TABLE volumes ADD COLUMN copy integer NOT NULL DEFAULT 0 CHECK (copy >= 0);
ALTER TABLE volumes ADD COLUMN last_copy integer NOT NULL DEFAULT 0 CHECK (last_copy >= copy);
ALTER TABLE volume_snapshots ADD COLUMN volume_copy integer NOT NULL DEFAULT 0 CHECK (volume_copy >= 0);

-- Whether a move takes the volumes along.
ALTER TABLE operations ADD COLUMN move_volumes boolean NOT NULL DEFAULT false CHECK (kind = 'move' OR NOT move_volumes);
ALTER TABLE node_drains ADD COLUMN with_volumes boolean NOT NULL DEFAULT false;

-- Volumes on their way, for as long as the operation is open that carries them.
CREATE TABLE volume_carries (
  volume_id uuid PRIMARY KEY REFERENCES volumes (id) ON DELETE CASCADE,
  operation_id uuid NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
  state text NOT NULL DEFAULT 'going' CHECK (state IN ('going', 'carried', 'returned')),
  from_node text NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  from_copy integer NOT NULL,
  -- Null until it is chosen.
  to_node text REFERENCES nodes (id) ON DELETE CASCADE,
  to_copy integer NOT NULL
);
CREATE INDEX volume_carries_operation ON volume_carries (operation_id);

-- Copies that nothing mounts any more, until their node has removed them. The volume itself may be gone by then.
CREATE TABLE volume_leftovers (
  volume_id uuid NOT NULL,
  copy integer NOT NULL,
  node_id text NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (volume_id, copy)
);
CREATE INDEX volume_leftovers_node ON volume_leftovers (node_id);

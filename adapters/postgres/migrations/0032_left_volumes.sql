-- A deployment whose policy says so begins elsewhere with empty volumes when the node with its own is lost. What was written
-- stays there under another name; these say what was called what before, for as long as the operation is open.
CREATE TABLE left_volumes (
  volume_id uuid PRIMARY KEY REFERENCES volumes (id) ON DELETE CASCADE,
  successor_id uuid NOT NULL UNIQUE REFERENCES volumes (id) ON DELETE CASCADE,
  operation_id uuid NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
  -- Whether each has the name of before again: the operation went back.
  returned boolean NOT NULL DEFAULT false
);
CREATE INDEX left_volumes_operation ON left_volumes (operation_id);

-- An operation is stored by whoever is asked for it, and its deployment's workflow takes it from here. One that was not
-- taken is told of once more.
ALTER TABLE operations
  ADD COLUMN supersede_running boolean NOT NULL DEFAULT false,
  ADD COLUMN taken_at timestamptz(3);
UPDATE operations SET taken_at = created_at;
CREATE INDEX operations_untaken ON operations (created_at) WHERE taken_at IS NULL AND finished_at IS NULL;

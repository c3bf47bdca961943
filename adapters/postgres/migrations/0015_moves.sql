-- Replicas are moved from node to node by an operation of their own kind.
ALTER TABLE operations DROP CONSTRAINT operations_kind;
ALTER TABLE operations ADD CONSTRAINT operations_kind CHECK (
  kind IN ('deploy', 'update', 'rollback', 'scale', 'restart', 'stop', 'start', 'heal', 'move', 'remove')
);
-- The node that is left, the one that takes it, and how many replicas of each service; null: any, all.
ALTER TABLE operations ADD COLUMN move_from text CHECK (length(move_from) BETWEEN 1 AND 64);
ALTER TABLE operations ADD COLUMN move_to text CHECK (length(move_to) BETWEEN 1 AND 64);
ALTER TABLE operations ADD COLUMN move_replicas integer CHECK (move_replicas > 0);
ALTER TABLE operations ADD CONSTRAINT operations_move CHECK (
  CASE WHEN kind = 'move' THEN coalesce(move_from, move_to) IS NOT NULL
  ELSE move_from IS NULL AND move_to IS NULL AND move_replicas IS NULL END
);

-- The emptying of a node: the newest of each. Operations say what became of each deployment.
CREATE INDEX operations_moved_from ON operations (move_from, created_at) WHERE move_from IS NOT NULL;
CREATE TABLE node_drains (
  node_id text PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
  id uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'done', 'stopped')),
  actor_user_id uuid NOT NULL,
  reason text NOT NULL CHECK (length(reason) <= 500),
  created_at timestamptz NOT NULL DEFAULT now(),
  -- Touched whenever something has left, for those who watch.
  changed_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  CHECK ((state = 'running') = (finished_at IS NULL))
);

CREATE FUNCTION notify_drain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('drain', NEW.node_id)::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER node_drains_notify AFTER INSERT OR UPDATE ON node_drains
  FOR EACH ROW EXECUTE FUNCTION notify_drain();

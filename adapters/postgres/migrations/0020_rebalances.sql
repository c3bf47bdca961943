-- Plans that were carried out to fill the nodes more evenly. Operations say what became of each move.
CREATE TABLE rebalances (
  id uuid PRIMARY KEY,
  sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  state text NOT NULL CHECK (state IN ('running', 'done', 'stopped')),
  actor_user_id uuid NOT NULL,
  planned integer NOT NULL CHECK (planned >= 0),
  ended integer NOT NULL DEFAULT 0 CHECK (ended >= 0),
  moved integer NOT NULL DEFAULT 0 CHECK (moved >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE UNIQUE INDEX rebalances_running ON rebalances (state) WHERE state = 'running';

CREATE FUNCTION notify_rebalance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('rebalance', NEW.id)::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER rebalances_notify AFTER INSERT OR UPDATE ON rebalances
  FOR EACH ROW EXECUTE FUNCTION notify_rebalance();

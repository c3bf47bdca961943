-- Since when a replica is in its state. Those that are there already: at least since now.
ALTER TABLE replicas ADD COLUMN state_since timestamptz(3) NOT NULL DEFAULT now();
CREATE FUNCTION stamp_replica_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.state_since := now();
  RETURN NEW;
END
$$;
CREATE TRIGGER replicas_state_since BEFORE UPDATE ON replicas FOR EACH ROW
  WHEN ((OLD.state, OLD.gone) IS DISTINCT FROM (NEW.state, NEW.gone))
  EXECUTE FUNCTION stamp_replica_state();

-- Who watches where replicas are is told of their nodes as well. A renewed lease is no news.
CREATE FUNCTION notify_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('node', NEW.id)::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER nodes_notify AFTER UPDATE ON nodes FOR EACH ROW
  WHEN (
    (OLD.state, OLD.cordoned, OLD.hostname, OLD.labels)
      IS DISTINCT FROM (NEW.state, NEW.cordoned, NEW.hostname, NEW.labels)
  )
  EXECUTE FUNCTION notify_node();

-- Several services of one deployment, each with a hostname of its own.

ALTER TABLE routes ADD COLUMN service text NOT NULL DEFAULT 'app' CHECK (length(service) BETWEEN 1 AND 63);
ALTER TABLE routes ALTER COLUMN service DROP DEFAULT;
DROP INDEX routes_deployment;
CREATE UNIQUE INDEX routes_service ON routes (deployment_id, service);

-- Which services an operation leaves as they run, and of which revision that is, decided once when it begins.
ALTER TABLE operations ADD COLUMN kept_services jsonb NOT NULL DEFAULT '{}';
ALTER TABLE operations ALTER COLUMN kept_services DROP DEFAULT;

-- One message a deployment and statement: ten thousand replicas that begin to serve at once are one change.
CREATE FUNCTION notify_deployments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('deployment', deployment_id)::text)
  FROM (SELECT DISTINCT deployment_id FROM changed) AS deployments;
  RETURN NULL;
END
$$;
DROP TRIGGER replicas_notify ON replicas;
CREATE TRIGGER replicas_notify_insert AFTER INSERT ON replicas REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION notify_deployments();
CREATE TRIGGER replicas_notify_update AFTER UPDATE ON replicas REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION notify_deployments();
CREATE TRIGGER replicas_notify_delete AFTER DELETE ON replicas REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION notify_deployments();
DROP TRIGGER deployment_events_notify ON deployment_events;
CREATE TRIGGER deployment_events_notify AFTER INSERT ON deployment_events REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION notify_deployments();

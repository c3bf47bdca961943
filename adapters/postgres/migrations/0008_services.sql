-- Several services of one deployment, each with a hostname of its own.

ALTER TABLE routes ADD COLUMN service text NOT NULL DEFAULT 'app' CHECK (length(service) BETWEEN 1 AND 63);
ALTER TABLE routes ALTER COLUMN service DROP DEFAULT;
DROP INDEX routes_deployment;
CREATE UNIQUE INDEX routes_service ON routes (deployment_id, service);

-- Which services an operation leaves as they run, and of which revision that is, decided once when it begins.
ALTER TABLE operations ADD COLUMN kept_services jsonb NOT NULL DEFAULT '{}';
ALTER TABLE operations ALTER COLUMN kept_services DROP DEFAULT;

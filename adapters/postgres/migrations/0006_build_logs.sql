-- How builds go and end, what they print, and where their images are.

ALTER TABLE builds DROP CONSTRAINT builds_check;
ALTER TABLE builds
  ADD COLUMN state text NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'building', 'succeeded', 'failed', 'cancelled')),
  -- Where the image was pushed to, repository@sha256:…; null when the platform carries it from node to node.
  ADD COLUMN reference text CHECK (length(reference) BETWEEN 1 AND 512);
UPDATE builds SET
  state = CASE WHEN image_id IS NULL THEN 'failed' ELSE 'succeeded' END,
  finished_at = coalesce(builds.finished_at, operations.finished_at, now())
FROM operations
WHERE operations.id = builds.operation_id AND (image_id IS NOT NULL OR operations.finished_at IS NOT NULL);
ALTER TABLE builds
  ADD CONSTRAINT builds_finished CHECK ((state IN ('waiting', 'building')) = (finished_at IS NULL)),
  ADD CONSTRAINT builds_succeeded CHECK ((state = 'succeeded') = (image_id IS NOT NULL));
CREATE INDEX builds_operation ON builds (operation_id);

-- How the log of a build stands. Lines are numbered from 1 over all attempts; a number that no chunk holds was left out.
CREATE TABLE build_logs (
  deployment_id uuid NOT NULL,
  revision integer NOT NULL,
  service text NOT NULL,
  -- The attempt under way, by the time at which it was scheduled, and how many there were.
  attempt bigint NOT NULL,
  attempts integer NOT NULL DEFAULT 1 CHECK (attempts >= 1),
  -- Number of the line before the attempt's first one, and of the newest line.
  base_number bigint NOT NULL DEFAULT 0 CHECK (base_number >= 0),
  last_number bigint NOT NULL DEFAULT 0,
  head_bytes integer NOT NULL DEFAULT 0,
  head_lines integer NOT NULL DEFAULT 0,
  tail_bytes integer NOT NULL DEFAULT 0,
  tail_lines integer NOT NULL DEFAULT 0,
  -- Whether the attempt prints nothing more.
  complete boolean NOT NULL DEFAULT false,
  PRIMARY KEY (deployment_id, revision, service),
  FOREIGN KEY (deployment_id, revision, service) REFERENCES builds (deployment_id, revision, service)
    ON UPDATE CASCADE ON DELETE CASCADE,
  CHECK (last_number >= base_number)
);

-- Lines as they arrived: [milliseconds since 1970, text], and a third element on remarks of the platform. Of a long log
-- the chunks of the tail go one by one, oldest first.
CREATE TABLE build_log_chunks (
  deployment_id uuid NOT NULL,
  revision integer NOT NULL,
  service text NOT NULL,
  first_number bigint NOT NULL CHECK (first_number >= 1),
  last_number bigint NOT NULL,
  is_head boolean NOT NULL,
  size_bytes integer NOT NULL,
  lines jsonb NOT NULL,
  stored_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, revision, service, first_number),
  FOREIGN KEY (deployment_id, revision, service) REFERENCES build_logs (deployment_id, revision, service)
    ON UPDATE CASCADE ON DELETE CASCADE,
  CHECK (last_number >= first_number)
);
-- For retention by age; that by build goes by the key.
CREATE INDEX build_log_chunks_age ON build_log_chunks (stored_at);

-- Nodes beside its builder that were given an image, and so most likely have it. A hint: who asks them finds out.
CREATE TABLE image_copies (
  deployment_id uuid NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
  image_id text NOT NULL CHECK (image_id LIKE 'sha256:%' AND length(image_id) <= 128),
  node_id text NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  given_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, image_id, node_id)
);

-- Wakes those who follow the builds of a deployment, and nobody else.
CREATE FUNCTION notify_build() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('build', coalesce(
    to_jsonb(NEW) ->> 'deployment_id', to_jsonb(OLD) ->> 'deployment_id'))::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER build_logs_notify AFTER INSERT OR UPDATE ON build_logs
  FOR EACH ROW EXECUTE FUNCTION notify_build();
CREATE TRIGGER builds_notify AFTER UPDATE OR DELETE ON builds
  FOR EACH ROW EXECUTE FUNCTION notify_build();

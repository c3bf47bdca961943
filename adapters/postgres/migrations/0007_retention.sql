-- What retention has removed, and what it asks for to know what may go.

-- When a context was uploaded or asked for last. A deploy that names it may be on its way.
ALTER TABLE build_contexts ADD COLUMN last_used_at timestamptz(3) NOT NULL DEFAULT now();
CREATE INDEX build_contexts_sha256 ON build_contexts (sha256);

CREATE INDEX mutation_keys_age ON mutation_keys (created_at);

-- Which revisions need an image that a node holds.
CREATE INDEX revision_images_digest ON revision_images (image_digest);
CREATE INDEX builds_image_id ON builds (image_id);

-- The newest runs only. A dry run counts what a run would remove, and removes nothing.
CREATE TABLE retention_runs (
  id uuid PRIMARY KEY,
  dry_run boolean NOT NULL,
  -- Who asked for it; null when it was the schedule.
  actor_user_id uuid,
  state text NOT NULL CHECK (state IN ('running', 'succeeded', 'failed')),
  error_message text NOT NULL DEFAULT '' CHECK (length(error_message) <= 8192),
  -- Where the way through the database goes on: what is before it has been counted.
  place text NOT NULL DEFAULT '' CHECK (length(place) <= 1024),
  started_at timestamptz(3) NOT NULL DEFAULT now(),
  finished_at timestamptz(3),
  CHECK ((state = 'running') = (finished_at IS NULL)),
  CHECK (error_message = '' OR state = 'failed')
);
CREATE INDEX retention_runs_started ON retention_runs (started_at);

-- With an empty reason: what was removed. With any other: what was looked at and stays, for that reason.
CREATE TABLE retention_items (
  run_id uuid NOT NULL REFERENCES retention_runs (id) ON DELETE CASCADE,
  kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 63),
  -- Empty for what belongs to no node. Names it without referring to it: nodes go.
  node_id text NOT NULL DEFAULT '' CHECK (length(node_id) <= 64),
  reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
  count bigint NOT NULL CHECK (count >= 0),
  -- Null where nobody measured it.
  bytes bigint CHECK (bytes >= 0),
  PRIMARY KEY (run_id, kind, node_id, reason)
);

CREATE FUNCTION notify_retention() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('retention', NEW.id)::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER retention_runs_notify AFTER INSERT OR UPDATE ON retention_runs
  FOR EACH ROW EXECUTE FUNCTION notify_retention();

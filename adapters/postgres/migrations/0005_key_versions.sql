-- Data keys of organizations have versions: the newest one seals, all of them open. Master keys are rotated by wrapping
-- data keys anew.

ALTER TABLE organization_keys
  DROP CONSTRAINT organization_keys_pkey,
  ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version BETWEEN 1 AND 1000),
  ADD PRIMARY KEY (organization_id, version),
  ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
  -- Which master key wraps it: the second part of `<form>.<master key>.<data>`.
  ADD COLUMN master_key_id text NOT NULL GENERATED ALWAYS AS (split_part(wrapped_key, '.', 2)) STORED,
  ADD CHECK (master_key_id ~ '^[0-9a-f]{8}$');
ALTER TABLE organization_keys ALTER COLUMN version DROP DEFAULT, ALTER COLUMN id DROP DEFAULT;
CREATE INDEX organization_keys_master_key ON organization_keys (master_key_id, organization_id, version);

-- Which password it is, as it is bound into the sealed one; null for those sealed before passwords had versions.
ALTER TABLE registry_credentials
  ADD COLUMN version uuid,
  ADD CHECK ((version IS NULL) = (sealed_password LIKE 's1.%'));

-- Rotations of the master key: history as well, so it names its user without referring to it.
CREATE TABLE key_rotations (
  id uuid PRIMARY KEY,
  sequence bigint GENERATED ALWAYS AS IDENTITY,
  master_key_id text NOT NULL CHECK (master_key_id ~ '^[0-9a-f]{8}$'),
  state text NOT NULL CHECK (state IN ('running', 'succeeded', 'failed')),
  rewrapped bigint NOT NULL DEFAULT 0 CHECK (rewrapped >= 0),
  actor_user_id uuid NOT NULL,
  error_code text,
  error_message text CHECK (length(error_message) <= 8192),
  error_hint text CHECK (length(error_hint) <= 1024),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  finished_at timestamptz(3),
  CHECK ((state = 'running') = (finished_at IS NULL)),
  CHECK (num_nulls(error_code, error_message, error_hint) = CASE state WHEN 'failed' THEN 0 ELSE 3 END)
);
CREATE UNIQUE INDEX key_rotations_running ON key_rotations (state) WHERE state = 'running';

CREATE FUNCTION notify_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('keys', NEW.id)::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER key_rotations_notify AFTER INSERT OR UPDATE ON key_rotations
  FOR EACH ROW EXECUTE FUNCTION notify_keys();

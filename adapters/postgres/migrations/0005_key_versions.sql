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

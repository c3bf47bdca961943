-- Tokens with which a host joins: each once, until it expires. Only what a token hashes to is kept.
CREATE TABLE node_tokens (
  id uuid PRIMARY KEY,
  hash text NOT NULL UNIQUE CHECK (hash ~ '^[0-9a-f]{64}$'),
  created_by uuid NOT NULL REFERENCES users (id),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  expires_at timestamptz(3) NOT NULL,
  used_at timestamptz(3),
  used_by text,
  revoked_at timestamptz(3),
  CHECK ((used_at IS NULL) = (used_by IS NULL))
);

-- Which keys speak for which node. It outlives the node: one that was removed does not come back by itself.
CREATE TABLE node_admissions (
  node_id text PRIMARY KEY CHECK (node_id ~ '^[a-z0-9-]{8,64}$'),
  signing_jwk jsonb NOT NULL CHECK (NOT signing_jwk ? 'd'),
  encryption_jwk jsonb NOT NULL CHECK (NOT encryption_jwk ? 'd'),
  admitted_at timestamptz(3) NOT NULL DEFAULT now(),
  revoked_at timestamptz(3)
);
INSERT INTO node_admissions (node_id, signing_jwk, encryption_jwk) SELECT id, signing_jwk, encryption_jwk FROM nodes;

-- What a node has built is history once the node has been removed.
ALTER TABLE builds DROP CONSTRAINT builds_node_id_fkey;

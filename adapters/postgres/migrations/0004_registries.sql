-- Credentials for private registries. A replaced one gets a new id: what was granted for the old one is not for it.
CREATE TABLE registry_credentials (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  host text NOT NULL CHECK (length(host) BETWEEN 1 AND 255 AND host = lower(host)),
  username text NOT NULL CHECK (length(username) BETWEEN 1 AND 255),
  sealed_password text NOT NULL,
  fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{12}$'),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (organization_id, host)
);
CREATE INDEX registry_credentials_page ON registry_credentials (organization_id, created_at, id);

-- Sources in Git repositories.

-- The commit that a service of a revision is built from: found out once, and the same for ever.
CREATE TABLE revision_sources (
  deployment_id uuid NOT NULL,
  revision integer NOT NULL,
  service text NOT NULL CHECK (length(service) BETWEEN 1 AND 63),
  commit text NOT NULL CHECK (commit ~ '^([0-9a-f]{40}|[0-9a-f]{64})$'),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, revision, service),
  FOREIGN KEY (deployment_id, revision) REFERENCES revisions (deployment_id, number) ON DELETE CASCADE
);

-- Credentials for private repositories: of a whole server (`github.com`), or of one repository of it. One for each way
-- to sign in. A replaced one gets a new id. Neither a public key nor lines of known hosts are secrets.
CREATE TABLE git_credentials (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  target text NOT NULL CHECK (length(target) BETWEEN 1 AND 1024),
  kind text NOT NULL CHECK (kind IN ('https', 'ssh')),
  username text NOT NULL CHECK (length(username) <= 255),
  sealed_secret text NOT NULL,
  fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{12}$'),
  public_key text NOT NULL CHECK (length(public_key) <= 4096),
  known_hosts text NOT NULL CHECK (length(known_hosts) <= 65536),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (organization_id, target, kind)
);
CREATE INDEX git_credentials_page ON git_credentials (organization_id, created_at, id);

-- One webhook a deployment. Its id is in its address, and names who asked in the operations that it starts. The id of
-- its secret names the request that set it.
CREATE TABLE webhooks (
  id uuid PRIMARY KEY,
  deployment_id uuid NOT NULL UNIQUE REFERENCES deployments (id) ON DELETE CASCADE,
  secret_id uuid NOT NULL,
  sealed_secret text NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  rotated_at timestamptz(3) NOT NULL DEFAULT now(),
  last_delivery_at timestamptz(3),
  last_answer text CHECK (length(last_answer) <= 500)
);

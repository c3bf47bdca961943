-- The control database: who owns what, what is wanted, what was asked, what runs where, and where requests go.
--
-- Times have milliseconds, since that is what JavaScript dates hold: a time that was read can be compared again.

CREATE TABLE users (
  id uuid PRIMARY KEY,
  issuer text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 2048),
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
  email text NOT NULL CHECK (length(email) <= 320),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (issuer, subject)
);

CREATE TABLE organizations (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 2 AND 63 AND name ~ '^[a-z]([a-z0-9-]*[a-z0-9])$'),
  created_at timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE memberships (
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE projects (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id),
  name text NOT NULL CHECK (length(name) BETWEEN 2 AND 63 AND name ~ '^[a-z]([a-z0-9-]*[a-z0-9])$'),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name),
  UNIQUE (id, organization_id)
);
CREATE INDEX projects_page ON projects (organization_id, created_at, id);

-- A deployment's organization is its project's: the composite key refuses anything else.
CREATE TABLE deployments (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 2 AND 63 AND name ~ '^[a-z]([a-z0-9-]*[a-z0-9])$'),
  revision integer NOT NULL CHECK (revision >= 0),
  serving_revision integer NOT NULL DEFAULT 0 CHECK (serving_revision BETWEEN 0 AND revision),
  deleting boolean NOT NULL DEFAULT false,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  FOREIGN KEY (project_id, organization_id) REFERENCES projects (id, organization_id),
  UNIQUE (project_id, name),
  UNIQUE (id, organization_id)
);
CREATE INDEX deployments_page ON deployments (organization_id, created_at, id);

CREATE TABLE revisions (
  deployment_id uuid NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
  number integer NOT NULL CHECK (number >= 1),
  spec jsonb NOT NULL,
  image_digest text CHECK (image_digest LIKE 'sha256:%' AND length(image_digest) <= 128),
  operation_id uuid NOT NULL UNIQUE,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, number)
);

-- History: outlives its deployment, so it names it without referring to it.
CREATE TABLE operations (
  id uuid PRIMARY KEY,
  sequence bigint GENERATED ALWAYS AS IDENTITY,
  organization_id uuid NOT NULL REFERENCES organizations (id),
  project_id uuid NOT NULL,
  deployment_id uuid NOT NULL,
  deployment_name text NOT NULL,
  idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 128),
  request_hash text NOT NULL CHECK (request_hash ~ '^[0-9a-f]{64}$'),
  kind text NOT NULL CHECK (kind IN ('deploy', 'remove')),
  state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'superseded')),
  revision integer NOT NULL CHECK ((kind = 'deploy' AND revision >= 1) OR (kind = 'remove' AND revision = 0)),
  actor_user_id uuid NOT NULL,
  superseded_by uuid,
  error_code text,
  error_message text CHECK (length(error_message) <= 8192),
  error_hint text CHECK (length(error_hint) <= 1024),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  started_at timestamptz(3),
  finished_at timestamptz(3),
  UNIQUE (organization_id, idempotency_key),
  CHECK ((state IN ('queued', 'running')) = (finished_at IS NULL)),
  CHECK ((state = 'superseded') = (superseded_by IS NOT NULL)),
  CHECK (num_nulls(error_code, error_message, error_hint) = CASE state WHEN 'failed' THEN 0 ELSE 3 END)
);
CREATE INDEX operations_deployment ON operations (deployment_id, sequence);

-- History as well. Every insert holds the deployment's row, so sequences of one deployment become visible in order.
CREATE TABLE deployment_events (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  deployment_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organizations (id),
  at timestamptz(3) NOT NULL DEFAULT now(),
  operation_id uuid,
  kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
  message text NOT NULL CHECK (length(message) <= 8192),
  replica_id text CHECK (length(replica_id) <= 64)
);
CREATE INDEX deployment_events_deployment ON deployment_events (deployment_id, sequence);

CREATE TABLE nodes (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{8,64}$'),
  hostname text NOT NULL CHECK (length(hostname) BETWEEN 1 AND 255),
  state text NOT NULL CHECK (state IN ('ready', 'degraded', 'lost', 'draining', 'cordoned')),
  reason text NOT NULL CHECK (length(reason) <= 1024),
  cpu_cores double precision NOT NULL CHECK (cpu_cores > 0),
  memory_bytes bigint NOT NULL CHECK (memory_bytes > 0),
  docker_version text NOT NULL,
  architecture text NOT NULL,
  address text NOT NULL CHECK (length(address) BETWEEN 1 AND 253),
  gateway_url text NOT NULL CHECK (length(gateway_url) <= 512),
  streamer_url text NOT NULL CHECK (length(streamer_url) <= 512),
  signing_jwk jsonb NOT NULL CHECK (NOT signing_jwk ? 'd'),
  encryption_jwk jsonb NOT NULL CHECK (NOT encryption_jwk ? 'd'),
  lease_expires_at timestamptz(3) NOT NULL,
  last_seen_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);

-- The row is the reservation: what it reserves counts as used on its node from its insert to its delete.
CREATE TABLE replicas (
  deployment_id uuid NOT NULL,
  replica_id text NOT NULL CHECK (length(replica_id) BETWEEN 1 AND 64),
  revision integer NOT NULL,
  index integer NOT NULL CHECK (index >= 0),
  node_id text NOT NULL REFERENCES nodes (id),
  state text NOT NULL CHECK (state IN ('starting', 'healthy', 'unhealthy', 'exited', 'removing')),
  serving boolean NOT NULL DEFAULT false,
  cpu_cores double precision NOT NULL CHECK (cpu_cores >= 0),
  memory_bytes bigint NOT NULL CHECK (memory_bytes >= 0),
  container_id text CHECK (length(container_id) BETWEEN 1 AND 64),
  address_host text CHECK (length(address_host) BETWEEN 1 AND 253),
  address_port integer CHECK (address_port BETWEEN 1 AND 65535),
  image_digest text,
  exit_code integer,
  out_of_memory boolean NOT NULL DEFAULT false,
  started_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, replica_id),
  UNIQUE (deployment_id, revision, index),
  FOREIGN KEY (deployment_id, revision) REFERENCES revisions (deployment_id, number) ON DELETE CASCADE,
  CHECK ((address_host IS NULL) = (address_port IS NULL)),
  CHECK (NOT serving OR container_id IS NOT NULL)
);
CREATE INDEX replicas_node ON replicas (node_id);

CREATE TABLE routes (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  deployment_id uuid NOT NULL,
  hostname text NOT NULL UNIQUE CHECK (
    length(hostname) <= 253
    AND hostname ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
  ),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  FOREIGN KEY (deployment_id, organization_id) REFERENCES deployments (id, organization_id) ON DELETE CASCADE
);
CREATE INDEX routes_deployment ON routes (deployment_id);
CREATE INDEX routes_page ON routes (organization_id, hostname);

-- One row: which state of the routes is the newest, and which transaction made it.
CREATE TABLE ingress_generation (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  generation bigint NOT NULL CHECK (generation >= 0),
  changed_in xid8 NOT NULL
);
INSERT INTO ingress_generation (generation, changed_in) VALUES (0, '0');

CREATE TABLE organization_keys (
  organization_id uuid PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
  wrapped_key text NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);

CREATE TABLE build_contexts (
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
  entries integer NOT NULL CHECK (entries >= 0),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, sha256)
);

-- What mutations outside deployments were asked under which key. The scope is the user or the organization.
CREATE TABLE mutation_keys (
  scope uuid NOT NULL,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
  request_hash text NOT NULL CHECK (request_hash ~ '^[0-9a-f]{64}$'),
  resource_id uuid NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, key)
);
CREATE INDEX mutation_keys_resource ON mutation_keys (resource_id);

CREATE FUNCTION refuse_revision_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'revision % is immutable', OLD.number USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER revisions_immutable BEFORE UPDATE ON revisions FOR EACH ROW
  WHEN (
    (OLD.deployment_id, OLD.number, OLD.spec, OLD.operation_id)
      IS DISTINCT FROM (NEW.deployment_id, NEW.number, NEW.spec, NEW.operation_id)
    OR (OLD.image_digest IS NOT NULL AND OLD.image_digest IS DISTINCT FROM NEW.image_digest)
  )
  EXECUTE FUNCTION refuse_revision_change();

-- Generations. The triggers are deferred, so the one row that all of them change is locked last and shortly: two
-- transactions never wait for each other crosswise, and the order of generations is the order of commits.
CREATE FUNCTION move_ingress_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE ingress_generation SET generation = generation + 1, changed_in = pg_current_xact_id()
  WHERE changed_in <> pg_current_xact_id();
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER routes_generation AFTER INSERT OR UPDATE OR DELETE ON routes
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION move_ingress_generation();
CREATE CONSTRAINT TRIGGER replicas_generation_update AFTER UPDATE ON replicas
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (
    (OLD.serving OR NEW.serving)
    AND (OLD.serving, OLD.address_host, OLD.address_port, OLD.state)
      IS DISTINCT FROM (NEW.serving, NEW.address_host, NEW.address_port, NEW.state)
  )
  EXECUTE FUNCTION move_ingress_generation();
CREATE CONSTRAINT TRIGGER replicas_generation_insert AFTER INSERT ON replicas
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.serving) EXECUTE FUNCTION move_ingress_generation();
CREATE CONSTRAINT TRIGGER replicas_generation_delete AFTER DELETE ON replicas
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.serving) EXECUTE FUNCTION move_ingress_generation();

-- Change feed. Equal payloads of one transaction are sent once.
CREATE FUNCTION notify_deployment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('deployment', coalesce(
    to_jsonb(NEW) ->> TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[0]))::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER deployments_notify AFTER INSERT OR UPDATE OR DELETE ON deployments
  FOR EACH ROW EXECUTE FUNCTION notify_deployment('id');
CREATE TRIGGER operations_notify AFTER INSERT OR UPDATE ON operations
  FOR EACH ROW EXECUTE FUNCTION notify_deployment('deployment_id');
CREATE TRIGGER deployment_events_notify AFTER INSERT ON deployment_events
  FOR EACH ROW EXECUTE FUNCTION notify_deployment('deployment_id');
CREATE TRIGGER replicas_notify AFTER INSERT OR UPDATE OR DELETE ON replicas
  FOR EACH ROW EXECUTE FUNCTION notify_deployment('deployment_id');

CREATE FUNCTION notify_ingress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('ingress', NEW.generation)::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER ingress_generation_notify AFTER UPDATE ON ingress_generation
  FOR EACH ROW EXECUTE FUNCTION notify_ingress();

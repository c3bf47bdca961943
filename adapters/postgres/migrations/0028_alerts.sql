-- What members set for one rule of one deployment; what is null stays as it is built in.
CREATE TABLE alert_rules (
  deployment_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  rule text NOT NULL CHECK (length(rule) BETWEEN 1 AND 64),
  enabled boolean NOT NULL,
  fire_at double precision,
  clear_at double precision,
  for_ms integer CHECK (for_ms BETWEEN 0 AND 86400000),
  actor_user_id uuid NOT NULL,
  changed_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, rule),
  FOREIGN KEY (deployment_id, organization_id) REFERENCES deployments (id, organization_id) ON DELETE CASCADE
);

-- Every transition that is told takes the next number, under one lock: whoever reads on from a number misses none.
CREATE TABLE alert_clock (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version bigint NOT NULL CHECK (version >= 0),
  evaluated_at timestamptz(3)
);
INSERT INTO alert_clock (version) VALUES (0);

-- Alerts of the platform's nodes belong to no organization. Names are kept: alerts are history.
CREATE TABLE alerts (
  id uuid PRIMARY KEY,
  organization_id uuid REFERENCES organizations (id) ON DELETE CASCADE,
  rule text NOT NULL CHECK (length(rule) BETWEEN 1 AND 64),
  -- The id of a deployment, or of a node.
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 64),
  deployment_id uuid,
  deployment_name text NOT NULL DEFAULT '',
  node_id text,
  severity text NOT NULL CHECK (severity IN ('warning', 'critical')),
  state text NOT NULL CHECK (state IN ('pending', 'firing', 'resolved')),
  -- The newest that was read, and what it was about where a rule looks at several things.
  value double precision NOT NULL,
  detail text NOT NULL DEFAULT '' CHECK (length(detail) <= 300),
  pending_at timestamptz(3) NOT NULL,
  fired_at timestamptz(3),
  clear_since timestamptz(3),
  no_data_since timestamptz(3),
  resolved_at timestamptz(3),
  -- How it ended: its condition is over, its subject does not exist any more, or its rule was switched off.
  resolution text CHECK (resolution IN ('cleared', 'gone', 'off')),
  -- Whether anybody was told of it; what was silenced all the time is not told at its end either.
  told boolean NOT NULL DEFAULT false,
  version bigint NOT NULL DEFAULT 0,
  CHECK ((deployment_id IS NULL) <> (node_id IS NULL)),
  CHECK ((deployment_id IS NULL) = (organization_id IS NULL)),
  CHECK ((state = 'pending') = (fired_at IS NULL)),
  CHECK ((state = 'resolved') = (resolved_at IS NOT NULL)),
  CHECK ((state = 'resolved') = (resolution IS NOT NULL))
);
-- One alert per rule and subject, whoever evaluates.
CREATE UNIQUE INDEX alerts_open ON alerts (rule, subject) WHERE state <> 'resolved';
CREATE INDEX alerts_organization ON alerts (organization_id, version) WHERE state <> 'pending';
CREATE INDEX alerts_version ON alerts (version) WHERE state <> 'pending';
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE state = 'resolved';

CREATE TABLE silences (
  id uuid PRIMARY KEY,
  -- Null: an operator's, for the whole platform.
  organization_id uuid REFERENCES organizations (id) ON DELETE CASCADE,
  rule text CHECK (length(rule) BETWEEN 1 AND 64),
  deployment_id uuid REFERENCES deployments (id) ON DELETE CASCADE,
  node_id text REFERENCES nodes (id) ON DELETE CASCADE,
  until timestamptz(3) NOT NULL,
  reason text NOT NULL CHECK (length(reason) <= 500),
  actor_user_id uuid NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX silences_page ON silences (organization_id, created_at, id);
CREATE INDEX silences_until ON silences (until);

CREATE TABLE notification_targets (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 2 AND 63 AND name ~ '^[a-z]([a-z0-9-]*[a-z0-9])$'),
  config jsonb NOT NULL,
  -- Sealed for the organization under the target's id as its version; null for a mail server that asks for none.
  sealed_secret text,
  -- An operator has said that alerts of the platform are told here too.
  platform boolean NOT NULL DEFAULT false,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name)
);
CREATE INDEX notification_targets_platform ON notification_targets (id) WHERE platform;

-- The outbox: what is in it will be delivered, or its failure will be seen.
CREATE TABLE notifications (
  id uuid PRIMARY KEY,
  -- Null: a test of the target.
  alert_id uuid REFERENCES alerts (id) ON DELETE CASCADE,
  target_id uuid NOT NULL REFERENCES notification_targets (id) ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('fired', 'resolved', 'test')),
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
  attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  last_error text CHECK (length(last_error) <= 1000),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  -- When a workflow was last asked to deliver it.
  dispatched_at timestamptz(3),
  finished_at timestamptz(3),
  CHECK ((alert_id IS NULL) = (kind = 'test')),
  CHECK ((state = 'waiting') = (finished_at IS NULL)),
  UNIQUE (alert_id, target_id, kind)
);
CREATE INDEX notifications_waiting ON notifications (created_at) WHERE state = 'waiting';
CREATE INDEX notifications_target ON notifications (target_id, created_at);

-- What an API process last heard of each node's streamer.
CREATE TABLE streamer_observations (
  node_id text PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
  observed_at timestamptz(3) NOT NULL,
  reachable boolean NOT NULL,
  healthy boolean NOT NULL,
  breaker_state integer NOT NULL,
  spool_age_seconds double precision,
  rows_lost bigint NOT NULL,
  -- When rows were last seen to be lost.
  dropped_at timestamptz(3)
);

-- What the ingress was last seen to serve for a hostname.
CREATE TABLE certificate_observations (
  hostname text PRIMARY KEY CHECK (length(hostname) <= 253),
  checked_at timestamptz(3) NOT NULL,
  -- Null: it served none that could be read.
  not_after timestamptz(3)
);

CREATE FUNCTION notify_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('obiente_changes', json_build_object('alert', coalesce(NEW.organization_id::text, 'platform'))::text);
  RETURN NULL;
END
$$;
CREATE TRIGGER alerts_notify AFTER INSERT OR UPDATE OF version ON alerts
  FOR EACH ROW WHEN (NEW.state <> 'pending') EXECUTE FUNCTION notify_alert();
CREATE INDEX deployment_events_restarts ON deployment_events (deployment_id, at) WHERE kind = 'replica.restarted';

-- Operations of every kind, services of a deployment, images of a revision's services, and words of people about an
-- operation that is under way.

-- What runs of a deployment when all goes well: the goal that an operation last reached. Refers to the revision, so no
-- revision that is needed can be pruned.
CREATE TABLE deployment_services (
  deployment_id uuid NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
  revision integer NOT NULL,
  replicas integer NOT NULL CHECK (replicas BETWEEN 0 AND 10000),
  PRIMARY KEY (deployment_id, name),
  FOREIGN KEY (deployment_id, revision) REFERENCES revisions (deployment_id, number)
    DEFERRABLE INITIALLY DEFERRED
);

-- Digests to which the services of a revision are pinned. A row never changes.
CREATE TABLE revision_images (
  deployment_id uuid NOT NULL,
  revision integer NOT NULL,
  service text NOT NULL CHECK (length(service) BETWEEN 1 AND 63),
  image_digest text NOT NULL CHECK (image_digest LIKE 'sha256:%' AND length(image_digest) <= 128),
  PRIMARY KEY (deployment_id, revision, service),
  FOREIGN KEY (deployment_id, revision) REFERENCES revisions (deployment_id, number) ON DELETE CASCADE
);
CREATE FUNCTION refuse_image_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'images of a revision are immutable' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER revision_images_immutable BEFORE UPDATE ON revision_images
  FOR EACH ROW EXECUTE FUNCTION refuse_image_change();
INSERT INTO revision_images (deployment_id, revision, service, image_digest)
  SELECT deployment_id, number, 'app', image_digest FROM revisions WHERE image_digest IS NOT NULL;

-- Which node builds, or has built, the image of a service of a revision: only that node has it.
CREATE TABLE builds (
  deployment_id uuid NOT NULL,
  revision integer NOT NULL,
  service text NOT NULL CHECK (length(service) BETWEEN 1 AND 63),
  node_id text NOT NULL REFERENCES nodes (id),
  operation_id uuid NOT NULL,
  image_id text CHECK (image_id LIKE 'sha256:%' AND length(image_id) <= 128),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  finished_at timestamptz(3),
  PRIMARY KEY (deployment_id, revision, service),
  FOREIGN KEY (deployment_id, revision) REFERENCES revisions (deployment_id, number) ON DELETE CASCADE,
  CHECK ((image_id IS NULL) = (finished_at IS NULL))
);
CREATE INDEX builds_image ON builds (deployment_id, image_id);
INSERT INTO builds (deployment_id, revision, service, node_id, operation_id, image_id, finished_at)
  SELECT revisions.deployment_id, number, 'app', min(replicas.node_id), revisions.operation_id, revisions.image_digest, now()
  FROM revisions
  JOIN replicas ON replicas.deployment_id = revisions.deployment_id AND replicas.revision = revisions.number
  WHERE revisions.image_digest IS NOT NULL AND spec -> 'source' ->> 'kind' = 'dockerfile'
  GROUP BY revisions.deployment_id, number;

DROP TRIGGER revisions_immutable ON revisions;
ALTER TABLE revisions DROP COLUMN image_digest;
-- The next index of a replica: an index is given once, so a late effect on an old replica never meets a newer one.
ALTER TABLE revisions ADD COLUMN next_index integer NOT NULL DEFAULT 0 CHECK (next_index >= 0);
ALTER TABLE revisions ADD COLUMN copy_of integer CHECK (copy_of >= 1 AND copy_of < number);
UPDATE revisions SET
  spec = spec || '{"rollout": {"strategy": "rolling", "maxSurgePercent": 100, "maxUnavailablePercent": 0, "approval": false}}',
  next_index = (spec ->> 'replicas')::integer;
CREATE TRIGGER revisions_immutable BEFORE UPDATE ON revisions FOR EACH ROW
  WHEN (
    (OLD.deployment_id, OLD.number, OLD.spec, OLD.operation_id, OLD.copy_of)
      IS DISTINCT FROM (NEW.deployment_id, NEW.number, NEW.spec, NEW.operation_id, NEW.copy_of)
    OR NEW.next_index < OLD.next_index
  )
  EXECUTE FUNCTION refuse_revision_change();

-- The revision whose rollout succeeded last, and whether it is stopped on purpose. Which one serves is observed.
ALTER TABLE deployments ADD COLUMN current_revision integer NOT NULL DEFAULT 0
  CHECK (current_revision BETWEEN 0 AND revision);
ALTER TABLE deployments ADD COLUMN stopped boolean NOT NULL DEFAULT false;
-- Share of requests that the revision under way gets while a canary runs; null when all that serve are alike.
ALTER TABLE deployments ADD COLUMN canary_revision integer;
ALTER TABLE deployments ADD COLUMN canary_weight_percent integer CHECK (canary_weight_percent BETWEEN 1 AND 99);
ALTER TABLE deployments ADD CHECK ((canary_revision IS NULL) = (canary_weight_percent IS NULL));
UPDATE deployments SET current_revision = serving_revision;
INSERT INTO deployment_services (deployment_id, name, revision, replicas)
  SELECT deployments.id, 'app', deployments.current_revision, (revisions.spec ->> 'replicas')::integer
  FROM deployments JOIN revisions
    ON revisions.deployment_id = deployments.id AND revisions.number = deployments.current_revision;

ALTER TABLE operations DROP CONSTRAINT operations_kind_check;
ALTER TABLE operations DROP CONSTRAINT operations_state_check;
ALTER TABLE operations DROP CONSTRAINT operations_check;
ALTER TABLE operations DROP CONSTRAINT operations_check1;
ALTER TABLE operations DROP CONSTRAINT operations_check2;
ALTER TABLE operations DROP CONSTRAINT operations_check3;
ALTER TABLE operations
  ADD COLUMN reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
  -- What a scale asks for; null for every other kind.
  ADD COLUMN scale_service text CHECK (length(scale_service) BETWEEN 1 AND 63),
  ADD COLUMN scale_replicas integer CHECK (scale_replicas BETWEEN 0 AND 10000),
  -- What an operation in state waiting waits for, for people.
  ADD COLUMN waits_for text NOT NULL DEFAULT '' CHECK (length(waits_for) <= 500),
  ADD CONSTRAINT operations_kind CHECK (
    kind IN ('deploy', 'update', 'rollback', 'scale', 'restart', 'stop', 'start', 'remove')
  ),
  ADD CONSTRAINT operations_state CHECK (
    state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'superseded')
  ),
  ADD CONSTRAINT operations_revision CHECK ((kind IN ('deploy', 'update', 'rollback')) = (revision >= 1)),
  ADD CONSTRAINT operations_finished CHECK ((state IN ('queued', 'running', 'waiting')) = (finished_at IS NULL)),
  ADD CONSTRAINT operations_superseded CHECK ((state = 'superseded') = (superseded_by IS NOT NULL)),
  ADD CONSTRAINT operations_error CHECK (
    num_nulls(error_code, error_message, error_hint) = CASE state WHEN 'failed' THEN 0 ELSE 3 END
  ),
  ADD CONSTRAINT operations_scale CHECK (
    num_nonnulls(scale_service, scale_replicas) = CASE kind WHEN 'scale' THEN 2 ELSE 0 END
  ),
  ADD CONSTRAINT operations_waits CHECK ((state = 'waiting') = (waits_for <> ''));
CREATE INDEX operations_page ON operations (deployment_id, sequence DESC);

ALTER TABLE deployment_events ADD COLUMN actor_user_id uuid;
-- What a step took: attempt and milliseconds, by name.
ALTER TABLE deployment_events ADD COLUMN details jsonb NOT NULL DEFAULT '{}';

ALTER TABLE replicas ADD COLUMN service text NOT NULL DEFAULT 'app' CHECK (length(service) BETWEEN 1 AND 63);
ALTER TABLE replicas ALTER COLUMN service DROP DEFAULT;
-- Which operation reserved it and in which of its steps, so that a repeated step finds its own reservations.
ALTER TABLE replicas ADD COLUMN operation_id uuid;
ALTER TABLE replicas ADD COLUMN batch integer CHECK (batch >= 0);
-- Which operation took it out of the routes: only that one may put it back without a start.
ALTER TABLE replicas ADD COLUMN drained_by uuid;

-- Containers that could not be removed because their node did not answer: the node's workflow does it when it is back.
CREATE TABLE doomed_replicas (
  node_id text NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  deployment_id uuid NOT NULL,
  revision integer NOT NULL CHECK (revision >= 1),
  index integer NOT NULL CHECK (index >= 0),
  project_id uuid NOT NULL,
  recorded_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (node_id, deployment_id, revision, index)
);
-- The same for what a deleted deployment leaves beside its containers.
CREATE TABLE doomed_deployments (
  node_id text NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  deployment_id uuid NOT NULL,
  project_id uuid NOT NULL,
  recorded_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (node_id, deployment_id)
);

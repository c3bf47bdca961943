-- Volumes: data that belongs to a project, and stays when the deployment that wrote it goes.

CREATE TABLE volumes (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 127 AND name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]*$'),
  -- Where the data is; null until a replica that mounts it has a place.
  node_id text REFERENCES nodes (id),
  -- The one service that may write it; both or none.
  writer_deployment_id uuid REFERENCES deployments (id),
  writer_service text CHECK (length(writer_service) BETWEEN 1 AND 63),
  -- Somebody has deleted it; the row goes once its node has removed the data.
  removing boolean NOT NULL DEFAULT false,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (project_id, name),
  FOREIGN KEY (project_id, organization_id) REFERENCES projects (id, organization_id),
  CHECK ((writer_deployment_id IS NULL) = (writer_service IS NULL)),
  CHECK (NOT removing OR (node_id IS NOT NULL AND writer_deployment_id IS NULL))
);
CREATE INDEX volumes_page ON volumes (organization_id, created_at, id);
CREATE INDEX volumes_node ON volumes (node_id) WHERE removing;
CREATE INDEX volumes_writer ON volumes (writer_deployment_id);

-- Snapshots outlive their volume, so they name it without referring to it.
CREATE TABLE volume_snapshots (
  id uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  project_id uuid NOT NULL,
  volume_id uuid NOT NULL,
  volume_name text NOT NULL CHECK (length(volume_name) BETWEEN 1 AND 127),
  -- Where its file is.
  node_id text NOT NULL REFERENCES nodes (id),
  state text NOT NULL CHECK (state IN ('running', 'succeeded', 'failed')),
  size_bytes bigint CHECK (size_bytes >= 0),
  sha256 text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  error_code text,
  error_message text CHECK (length(error_message) <= 8192),
  -- Somebody has deleted it, or newer ones have taken its place; the row goes once its node has removed the file.
  removing boolean NOT NULL DEFAULT false,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  finished_at timestamptz(3),
  FOREIGN KEY (project_id, organization_id) REFERENCES projects (id, organization_id),
  CHECK ((state = 'running') = (finished_at IS NULL)),
  CHECK (num_nulls(size_bytes, sha256) = CASE state WHEN 'succeeded' THEN 0 ELSE 2 END),
  CHECK (num_nulls(error_code, error_message) = CASE state WHEN 'failed' THEN 0 ELSE 2 END)
);
CREATE INDEX volume_snapshots_page ON volume_snapshots (project_id, created_at, id);
CREATE INDEX volume_snapshots_volume ON volume_snapshots (volume_id, created_at);
CREATE INDEX volume_snapshots_node ON volume_snapshots (node_id) WHERE removing;

-- A volume that is made of a snapshot: nobody mounts it before it is whole. With an error it never will be.
ALTER TABLE volumes
  ADD COLUMN restoring_from uuid,
  ADD COLUMN restore_error text CHECK (length(restore_error) <= 8192),
  ADD CHECK (restore_error IS NULL OR restoring_from IS NOT NULL),
  ADD CHECK (restoring_from IS NULL OR (node_id IS NOT NULL AND writer_deployment_id IS NULL));

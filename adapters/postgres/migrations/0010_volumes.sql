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

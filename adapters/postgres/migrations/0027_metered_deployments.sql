-- Whose a deployment is or was, for what it used: that is told for longer than the deployment's record is kept.
CREATE TABLE metered_deployments (
  deployment_id uuid PRIMARY KEY,
  -- Names it without referring to it: organizations go, and what they used stays to be told.
  organization_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) <= 253),
  seen_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX metered_deployments_organization ON metered_deployments (organization_id);
INSERT INTO metered_deployments (deployment_id, organization_id, name) SELECT id, organization_id, name FROM deployments;

-- With the deployment itself, so that one that is gone a minute later is known all the same.
CREATE FUNCTION meter_deployment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO metered_deployments (deployment_id, organization_id, name) VALUES (NEW.id, NEW.organization_id, NEW.name)
    ON CONFLICT (deployment_id) DO UPDATE SET name = excluded.name, seen_at = now();
  RETURN NULL;
END
$$;
CREATE TRIGGER deployments_meter AFTER INSERT OR UPDATE OF name ON deployments
  FOR EACH ROW EXECUTE FUNCTION meter_deployment();

-- For how long metrics of an organization are kept, where it is not as long as everybody's.
CREATE TABLE retention_periods (
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('metrics_minutes', 'metrics_hours')),
  keep_hours integer NOT NULL CHECK (keep_hours BETWEEN 1 AND 87600),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, kind),
  -- Late rows are taken for 50 days, and minutes are dropped after 60 in any case.
  CHECK (kind <> 'metrics_minutes' OR keep_hours <= 720)
);

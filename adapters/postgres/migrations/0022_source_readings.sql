-- Which node looks at the repository of a revision, before it is known what the revision is made of, and what it found.

CREATE TABLE source_readings (
  deployment_id uuid NOT NULL,
  revision integer NOT NULL,
  -- The operation that wants it; a reading is open while that one is, and until something was found.
  operation_id uuid NOT NULL,
  node_id text NOT NULL,
  found text CHECK (found IN ('compose', 'image')),
  -- What the Compose file says, its variables sealed: from the node's report until the revision has it.
  spec jsonb,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, revision),
  FOREIGN KEY (deployment_id, revision) REFERENCES revisions (deployment_id, number) ON DELETE CASCADE
);

-- Whether what a spec is made of is still to be read from its repository.
CREATE FUNCTION is_unread(spec jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN spec ? 'origin' THEN spec -> 'services' = '[]'::jsonb
    ELSE coalesce(spec -> 'source' -> 'detect' = 'true'::jsonb, false)
  END
$$;

-- What a repository says is put in once; from then on the spec is as immutable as every other.
DROP TRIGGER revisions_immutable ON revisions;
CREATE TRIGGER revisions_immutable BEFORE UPDATE ON revisions FOR EACH ROW
  WHEN (
    (OLD.deployment_id, OLD.number, OLD.operation_id, OLD.copy_of)
      IS DISTINCT FROM (NEW.deployment_id, NEW.number, NEW.operation_id, NEW.copy_of)
    OR (OLD.spec IS DISTINCT FROM NEW.spec AND (NOT is_unread(OLD.spec) OR is_unread(NEW.spec)))
    OR NEW.next_index < OLD.next_index
  )
  EXECUTE FUNCTION refuse_revision_change();

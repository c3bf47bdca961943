-- What the operator of a node says of it, and whether it takes new replicas.
ALTER TABLE nodes ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
ALTER TABLE nodes ALTER COLUMN labels DROP DEFAULT;
ALTER TABLE nodes ADD COLUMN cordoned boolean NOT NULL DEFAULT false;

-- Where the rotation of round-robin goes on: the node that was chosen last, which may have left since.
CREATE TABLE placement_rotation (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  node_id text NOT NULL CHECK (length(node_id) BETWEEN 1 AND 64)
);

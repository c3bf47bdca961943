-- Who has a node's lease: the process, and a number that rises whenever a process takes it anew. What a process with a
-- lower one still says is refused. Without a holder: a node of before leases had holders.
ALTER TABLE nodes
  ADD COLUMN epoch bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
  ADD COLUMN lease_holder uuid;

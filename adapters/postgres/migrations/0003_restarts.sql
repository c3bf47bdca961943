-- How the restarts of a replica stand, as its node tells it.

ALTER TABLE replicas
  ADD COLUMN restarts integer NOT NULL DEFAULT 0 CHECK (restarts >= 0),
  ADD COLUMN restart_streak integer NOT NULL DEFAULT 0 CHECK (restart_streak >= 0),
  ADD COLUMN next_restart_at timestamptz(3),
  -- Somebody else than the platform has removed the container; the state is then 'exited'.
  ADD COLUMN gone boolean NOT NULL DEFAULT false;

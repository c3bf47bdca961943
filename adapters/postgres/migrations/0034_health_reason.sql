-- Why a replica is unhealthy, as its node's checks found it; empty while it is not.
ALTER TABLE replicas ADD COLUMN health_reason text NOT NULL DEFAULT '';

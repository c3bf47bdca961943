-- What each container used, minute by minute. Rows of a container add up to what the kernel counted for it.
--
-- The key makes writing a row twice harmless. Nothing here says whose a deployment is: the control database does, and a
-- node that writes here need not know. `minute` is the start; its length is the storage interval, 60 s.

CREATE TABLE container_metrics (
  container_id text NOT NULL CHECK (length(container_id) BETWEEN 12 AND 64),
  minute timestamptz(3) NOT NULL,
  deployment_id uuid NOT NULL,
  replica_id text NOT NULL CHECK (length(replica_id) BETWEEN 1 AND 64),
  node_id text NOT NULL CHECK (length(node_id) BETWEEN 1 AND 64),
  cpu_nanos bigint NOT NULL CHECK (cpu_nanos >= 0),
  memory_average_bytes bigint NOT NULL CHECK (memory_average_bytes >= 0),
  memory_max_bytes bigint NOT NULL CHECK (memory_max_bytes >= memory_average_bytes),
  network_receive_bytes bigint NOT NULL CHECK (network_receive_bytes >= 0),
  network_transmit_bytes bigint NOT NULL CHECK (network_transmit_bytes >= 0),
  disk_read_bytes bigint NOT NULL CHECK (disk_read_bytes >= 0),
  disk_write_bytes bigint NOT NULL CHECK (disk_write_bytes >= 0),
  samples integer NOT NULL CHECK (samples > 0),
  PRIMARY KEY (container_id, minute)
);
CREATE INDEX container_metrics_deployment ON container_metrics (deployment_id, minute);

-- Rows with a narrow key, and all that is counted: of containers, of nodes, of requests; and what they used by the hour.
--
-- Nobody but the owner reads or writes these tables. Streamers write through functions of 0003, which take their node for
-- what it is bound to. In TimescaleDB the tables that grow are hypertables, elsewhere partitions of the same length.

ALTER TABLE container_metrics RENAME TO container_metrics_before;
ALTER INDEX container_metrics_pkey RENAME TO container_metrics_before_pkey;
ALTER INDEX container_metrics_deployment RENAME TO container_metrics_before_deployment;

-- Whose a row is, said once. Empty strings and nil stand for what a kind does not have.
CREATE TABLE metric_series (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('container', 'node', 'request')),
  node_id text NOT NULL CHECK (length(node_id) BETWEEN 1 AND 64),
  deployment_id uuid NOT NULL,
  replica_id text NOT NULL CHECK (length(replica_id) <= 64),
  container_id text NOT NULL CHECK (length(container_id) <= 64),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (container_id, kind, node_id, deployment_id, replica_id),
  CHECK ((kind = 'container') = (length(container_id) >= 12)),
  CHECK ((kind = 'node') = (deployment_id = '00000000-0000-0000-0000-000000000000'))
);
CREATE INDEX metric_series_deployment ON metric_series (deployment_id, kind);
CREATE INDEX metric_series_node ON metric_series (node_id, kind);

-- A role of one node: what it writes is of that node. A role that is not here may speak for any.
CREATE TABLE metric_writers (
  role name PRIMARY KEY,
  node_id text NOT NULL CHECK (length(node_id) BETWEEN 1 AND 64)
);

-- What a container used in a minute (or another storage interval; `minute` is its start). Rows of a container add up to
-- what the kernel counted for it.
CREATE TABLE container_metrics (
  series_id integer NOT NULL,
  minute timestamptz(3) NOT NULL,
  cpu_nanos bigint NOT NULL CHECK (cpu_nanos >= 0),
  cpu_user_nanos bigint NOT NULL CHECK (cpu_user_nanos >= 0),
  cpu_system_nanos bigint NOT NULL CHECK (cpu_system_nanos >= 0),
  cpu_throttled_nanos bigint NOT NULL CHECK (cpu_throttled_nanos >= 0),
  network_receive_bytes bigint NOT NULL CHECK (network_receive_bytes >= 0),
  network_transmit_bytes bigint NOT NULL CHECK (network_transmit_bytes >= 0),
  network_receive_packets bigint NOT NULL CHECK (network_receive_packets >= 0),
  network_transmit_packets bigint NOT NULL CHECK (network_transmit_packets >= 0),
  disk_read_bytes bigint NOT NULL CHECK (disk_read_bytes >= 0),
  disk_write_bytes bigint NOT NULL CHECK (disk_write_bytes >= 0),
  disk_read_operations bigint NOT NULL CHECK (disk_read_operations >= 0),
  disk_write_operations bigint NOT NULL CHECK (disk_write_operations >= 0),
  oom_kills bigint NOT NULL CHECK (oom_kills >= 0),
  memory_average_bytes bigint NOT NULL CHECK (memory_average_bytes >= 0),
  memory_max_bytes bigint NOT NULL CHECK (memory_max_bytes >= memory_average_bytes),
  -- Of the last sample; 0 is no limit.
  memory_limit_bytes bigint NOT NULL CHECK (memory_limit_bytes >= 0),
  page_cache_bytes bigint NOT NULL CHECK (page_cache_bytes >= 0),
  pids_max bigint NOT NULL CHECK (pids_max >= 0),
  -- How much of the minute the samples stand for.
  observed_ms bigint NOT NULL CHECK (observed_ms >= 0),
  samples bigint NOT NULL CHECK (samples > 0)
);

CREATE TABLE node_metrics (
  series_id integer NOT NULL,
  minute timestamptz(3) NOT NULL,
  cpu_busy_nanos bigint NOT NULL CHECK (cpu_busy_nanos >= 0),
  cpu_total_nanos bigint NOT NULL CHECK (cpu_total_nanos >= 0),
  memory_used_bytes bigint NOT NULL CHECK (memory_used_bytes >= 0),
  memory_total_bytes bigint NOT NULL CHECK (memory_total_bytes >= 0),
  disk_used_bytes bigint NOT NULL CHECK (disk_used_bytes >= 0),
  disk_total_bytes bigint NOT NULL CHECK (disk_total_bytes >= 0),
  load1_hundredths bigint NOT NULL CHECK (load1_hundredths >= 0),
  -- Null where the kernel does not tell.
  pressure_cpu_micros bigint CHECK (pressure_cpu_micros >= 0),
  pressure_memory_micros bigint CHECK (pressure_memory_micros >= 0),
  pressure_io_micros bigint CHECK (pressure_io_micros >= 0),
  samples bigint NOT NULL CHECK (samples > 0)
);

CREATE TABLE request_metrics (
  series_id integer NOT NULL,
  minute timestamptz(3) NOT NULL,
  requests bigint NOT NULL CHECK (requests >= 0),
  status_1xx bigint NOT NULL CHECK (status_1xx >= 0),
  status_2xx bigint NOT NULL CHECK (status_2xx >= 0),
  status_3xx bigint NOT NULL CHECK (status_3xx >= 0),
  status_4xx bigint NOT NULL CHECK (status_4xx >= 0),
  status_5xx bigint NOT NULL CHECK (status_5xx >= 0),
  bytes_in bigint NOT NULL CHECK (bytes_in >= 0),
  bytes_out bigint NOT NULL CHECK (bytes_out >= 0),
  -- How many took at most as long as each bound of the histogram, the last one without a bound.
  latency_buckets bigint[] NOT NULL CHECK (cardinality(latency_buckets) BETWEEN 1 AND 64),
  latency_sum_micros bigint NOT NULL CHECK (latency_sum_micros >= 0)
);

-- Sums of `container_metrics` by the hour. Whole numbers, so that sums over replicas are exact.
CREATE TABLE usage_hourly (
  series_id integer NOT NULL,
  hour timestamptz(3) NOT NULL,
  cpu_nanos numeric(30) NOT NULL,
  cpu_user_nanos numeric(30) NOT NULL,
  cpu_system_nanos numeric(30) NOT NULL,
  cpu_throttled_nanos numeric(30) NOT NULL,
  network_receive_bytes numeric(30) NOT NULL,
  network_transmit_bytes numeric(30) NOT NULL,
  network_receive_packets numeric(30) NOT NULL,
  network_transmit_packets numeric(30) NOT NULL,
  disk_read_bytes numeric(30) NOT NULL,
  disk_write_bytes numeric(30) NOT NULL,
  disk_read_operations numeric(30) NOT NULL,
  disk_write_operations numeric(30) NOT NULL,
  oom_kills numeric(30) NOT NULL,
  -- Σ average × observed time; divided by observed_ms it is the average.
  memory_byte_millis numeric(38) NOT NULL,
  memory_max_bytes bigint NOT NULL,
  memory_limit_bytes bigint NOT NULL,
  page_cache_bytes bigint NOT NULL,
  pids_max bigint NOT NULL,
  -- Uptime, as far as it was observed.
  observed_ms bigint NOT NULL,
  samples bigint NOT NULL,
  -- Bit n: a row of minute n is in the sums.
  minute_bits bigint NOT NULL,
  -- Its minutes may be gone: rows that come from now on are added, each minute once.
  closed boolean NOT NULL DEFAULT false,
  PRIMARY KEY (series_id, hour)
);
CREATE INDEX usage_hourly_hour ON usage_hourly (hour);

-- Hours of which rows have come since they were summed up. A writer holds its row until it has committed.
CREATE TABLE usage_due (
  series_id integer NOT NULL,
  hour timestamptz(3) NOT NULL,
  changes bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (series_id, hour)
);

-- How this database keeps what grows: 'community' or 'apache' edition of TimescaleDB, or 'plain' PostgreSQL.
CREATE FUNCTION metrics_edition() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN 'plain'
    WHEN current_setting('timescaledb.license', true) = 'timescale' THEN 'community'
    ELSE 'apache'
  END
$$;

-- Makes the partitions of a table from one moment to another, six hours each, where they are missing; rows that came
-- before their partition move out of the default one. Nothing to do for hypertables.
CREATE FUNCTION ensure_metric_partitions(parent text, since timestamptz, until timestamptz) RETURNS integer
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  width CONSTANT interval := '6 hours';
  start timestamptz := date_bin(width, since, 'epoch');
  part text;
  made integer := 0;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = to_regclass(parent)) THEN RETURN 0; END IF;
  WHILE start < until LOOP
    part := format('%s_p%s', parent, to_char(start AT TIME ZONE 'UTC', 'YYYYMMDD"h"HH24'));
    IF to_regclass(part) IS NULL THEN
      EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', parent);
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
      EXECUTE format(
        'WITH early AS (DELETE FROM %I WHERE minute >= %L AND minute < %L RETURNING *) INSERT INTO %I SELECT * FROM early',
        parent || '_default', start, start + width, part);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, start, start + width);
      made := made + 1;
    END IF;
    start := start + width;
  END LOOP;
  RETURN made;
END
$$;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['container_metrics', 'node_metrics', 'request_metrics'] LOOP
    IF metrics_edition() = 'plain' THEN
      EXECUTE format('ALTER TABLE %I RENAME TO %I', name, name || '_shape');
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL, PRIMARY KEY (series_id, minute)) PARTITION BY RANGE (minute)',
        name, name || '_shape');
      EXECUTE format('DROP TABLE %I', name || '_shape');
      EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', name || '_default', name);
      PERFORM ensure_metric_partitions(name, now() - interval '1 day', now() + interval '2 days');
    ELSE
      EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (series_id, minute)', name);
      PERFORM create_hypertable(name::regclass, 'minute', chunk_time_interval => interval '6 hours',
        create_default_indexes => false);
    END IF;
  END LOOP;
  IF metrics_edition() <> 'plain' THEN
    PERFORM create_hypertable('usage_hourly', 'hour', chunk_time_interval => interval '10 days',
      create_default_indexes => false);
  END IF;
  -- Hours are corrected for weeks at most, and read for a year: older ones are packed.
  IF metrics_edition() = 'community' THEN
    ALTER TABLE usage_hourly SET (timescaledb.compress, timescaledb.compress_segmentby = 'series_id',
      timescaledb.compress_orderby = 'hour');
    PERFORM add_compression_policy('usage_hourly', interval '60 days');
    -- The scheduled retention is finer and earlier; these hold where no orchestrator runs.
    PERFORM add_retention_policy('container_metrics', interval '60 days');
    PERFORM add_retention_policy('node_metrics', interval '60 days');
    PERFORM add_retention_policy('request_metrics', interval '60 days');
  END IF;
END
$$;

INSERT INTO metric_series (kind, node_id, deployment_id, replica_id, container_id)
  SELECT DISTINCT 'container', node_id, deployment_id, replica_id, container_id FROM container_metrics_before;
INSERT INTO container_metrics
  SELECT s.id, b.minute, b.cpu_nanos, 0, 0, 0, b.network_receive_bytes, b.network_transmit_bytes, 0, 0,
    b.disk_read_bytes, b.disk_write_bytes, 0, 0, 0, b.memory_average_bytes, b.memory_max_bytes, 0, 0, 0, 60000, b.samples
  FROM container_metrics_before b
  JOIN metric_series s USING (node_id, deployment_id, replica_id, container_id);
INSERT INTO usage_due (series_id, hour)
  SELECT DISTINCT series_id, date_trunc('hour', minute, 'UTC') FROM container_metrics;
DROP TABLE container_metrics_before;

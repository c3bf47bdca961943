-- How streamers write: through functions that the owner's rights run, so that their role needs no right to any table.
--
-- A row that is there already stays as it is. Each function answers how many rows it has added. `place` says for each row
-- which of the series it belongs to, so that names are sent once. Arrays are unnested in the select list: in FROM each of
-- them would be stored first, which takes longer than the insert.

-- Who may speak for which node, and what a batch may be like. The times keep a stolen node from making chunks without end.
CREATE FUNCTION check_metric_batch(node text, minutes timestamptz[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
  bound text := (SELECT node_id FROM metric_writers WHERE role = session_user);
  oldest timestamptz;
  newest timestamptz;
BEGIN
  IF bound IS NOT NULL AND bound <> node THEN
    RAISE insufficient_privilege USING MESSAGE = 'this role writes rows of another node only';
  END IF;
  IF cardinality(minutes) > 20000 THEN
    RAISE program_limit_exceeded USING MESSAGE = 'a batch has 20000 rows at most';
  END IF;
  SELECT min(minute), max(minute) INTO oldest, newest FROM unnest(minutes) AS minute;
  IF oldest < now() - interval '50 days' OR newest > now() + interval '1 day' THEN
    RAISE datetime_field_overflow USING MESSAGE = 'rows of the last 50 days are taken, and no others';
  END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION check_metric_batch FROM PUBLIC;

-- Ids of series, made where they are missing. Its lock on the table, held until the end of the transaction, keeps series
-- from being cleared away between this and the rows.
CREATE FUNCTION metric_series_of(
  kind_of text, node text, deployments uuid[], replicas text[], containers text[]
) RETURNS integer[]
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  ids integer[];
BEGIN
  LOCK TABLE metric_series IN ROW EXCLUSIVE MODE;
  FOR attempt IN 1..3 LOOP
    SELECT array_agg(s.id ORDER BY w.place) INTO ids
      FROM unnest(deployments, replicas, containers) WITH ORDINALITY AS w (deployment_id, replica_id, container_id, place)
      LEFT JOIN metric_series s ON s.container_id = w.container_id AND s.kind = kind_of AND s.node_id = node
        AND s.deployment_id = w.deployment_id AND s.replica_id = w.replica_id;
    IF array_position(ids, NULL) IS NULL THEN RETURN ids; END IF;
    INSERT INTO metric_series (kind, node_id, deployment_id, replica_id, container_id)
      SELECT DISTINCT kind_of, node, w.deployment_id, w.replica_id, w.container_id
      FROM unnest(ids, deployments, replicas, containers) AS w (id, deployment_id, replica_id, container_id)
      WHERE w.id IS NULL
      ORDER BY 3, 4, 5
      ON CONFLICT DO NOTHING;
  END LOOP;
  RAISE serialization_failure USING MESSAGE = 'series were made and removed meanwhile';
END
$$;
REVOKE EXECUTE ON FUNCTION metric_series_of FROM PUBLIC;

-- Of a node's containers: node, then of each series the deployment, the replica and the container, then the rows.
CREATE FUNCTION write_container_minutes(
  text, uuid[], text[], text[], integer[], timestamptz[], bigint[], bigint[], bigint[], bigint[], bigint[],
  bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[],
  bigint[], bigint[], bigint[], bigint[], bigint[]
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  series integer[];
  stored integer;
BEGIN
  PERFORM check_metric_batch($1, $6);
  series := metric_series_of('container', $1, $2, $3, $4);
  -- Nearly always none of the rows is there, and then a plain insert takes a fifth less.
  BEGIN
    WITH kept AS (
      INSERT INTO container_metrics (
        series_id, minute, cpu_nanos, cpu_user_nanos, cpu_system_nanos, cpu_throttled_nanos,
        network_receive_bytes, network_transmit_bytes, network_receive_packets, network_transmit_packets,
        disk_read_bytes, disk_write_bytes, disk_read_operations, disk_write_operations, oom_kills,
        memory_average_bytes, memory_max_bytes, memory_limit_bytes, page_cache_bytes, pids_max, observed_ms,
        samples
      )
      SELECT
        series[row.place], row.minute, row.cpu_nanos, row.cpu_user_nanos, row.cpu_system_nanos,
        row.cpu_throttled_nanos, row.network_receive_bytes, row.network_transmit_bytes,
        row.network_receive_packets, row.network_transmit_packets, row.disk_read_bytes, row.disk_write_bytes,
        row.disk_read_operations, row.disk_write_operations, row.oom_kills, row.memory_average_bytes,
        row.memory_max_bytes, row.memory_limit_bytes, row.page_cache_bytes, row.pids_max, row.observed_ms,
        row.samples
      FROM (
        SELECT
          unnest($5) AS place, unnest($6) AS minute, unnest($7) AS cpu_nanos, unnest($8) AS cpu_user_nanos,
          unnest($9) AS cpu_system_nanos, unnest($10) AS cpu_throttled_nanos, unnest($11) AS network_receive_bytes,
          unnest($12) AS network_transmit_bytes, unnest($13) AS network_receive_packets,
          unnest($14) AS network_transmit_packets, unnest($15) AS disk_read_bytes, unnest($16) AS disk_write_bytes,
          unnest($17) AS disk_read_operations, unnest($18) AS disk_write_operations, unnest($19) AS oom_kills,
          unnest($20) AS memory_average_bytes, unnest($21) AS memory_max_bytes, unnest($22) AS memory_limit_bytes,
          unnest($23) AS page_cache_bytes, unnest($24) AS pids_max, unnest($25) AS observed_ms, unnest($26) AS samples
      ) AS row
      RETURNING series_id, minute
    ), due AS (
      INSERT INTO usage_due (series_id, hour)
      SELECT DISTINCT series_id, date_bin('1 hour', minute, 'epoch') AS hour FROM kept ORDER BY 1, 2
      ON CONFLICT (series_id, hour) DO UPDATE SET changes = usage_due.changes + 1
    )
    SELECT count(*) INTO stored FROM kept;
  EXCEPTION WHEN unique_violation THEN
    WITH kept AS (
      INSERT INTO container_metrics (
        series_id, minute, cpu_nanos, cpu_user_nanos, cpu_system_nanos, cpu_throttled_nanos,
        network_receive_bytes, network_transmit_bytes, network_receive_packets, network_transmit_packets,
        disk_read_bytes, disk_write_bytes, disk_read_operations, disk_write_operations, oom_kills,
        memory_average_bytes, memory_max_bytes, memory_limit_bytes, page_cache_bytes, pids_max, observed_ms,
        samples
      )
      SELECT
        series[row.place], row.minute, row.cpu_nanos, row.cpu_user_nanos, row.cpu_system_nanos,
        row.cpu_throttled_nanos, row.network_receive_bytes, row.network_transmit_bytes,
        row.network_receive_packets, row.network_transmit_packets, row.disk_read_bytes, row.disk_write_bytes,
        row.disk_read_operations, row.disk_write_operations, row.oom_kills, row.memory_average_bytes,
        row.memory_max_bytes, row.memory_limit_bytes, row.page_cache_bytes, row.pids_max, row.observed_ms,
        row.samples
      FROM (
        SELECT
          unnest($5) AS place, unnest($6) AS minute, unnest($7) AS cpu_nanos, unnest($8) AS cpu_user_nanos,
          unnest($9) AS cpu_system_nanos, unnest($10) AS cpu_throttled_nanos, unnest($11) AS network_receive_bytes,
          unnest($12) AS network_transmit_bytes, unnest($13) AS network_receive_packets,
          unnest($14) AS network_transmit_packets, unnest($15) AS disk_read_bytes, unnest($16) AS disk_write_bytes,
          unnest($17) AS disk_read_operations, unnest($18) AS disk_write_operations, unnest($19) AS oom_kills,
          unnest($20) AS memory_average_bytes, unnest($21) AS memory_max_bytes, unnest($22) AS memory_limit_bytes,
          unnest($23) AS page_cache_bytes, unnest($24) AS pids_max, unnest($25) AS observed_ms, unnest($26) AS samples
      ) AS row
      ON CONFLICT DO NOTHING
      RETURNING series_id, minute
    ), due AS (
      INSERT INTO usage_due (series_id, hour)
      SELECT DISTINCT series_id, date_bin('1 hour', minute, 'epoch') AS hour FROM kept ORDER BY 1, 2
      ON CONFLICT (series_id, hour) DO UPDATE SET changes = usage_due.changes + 1
    )
    SELECT count(*) INTO stored FROM kept;
  END;
  RETURN stored;
END
$$;
REVOKE EXECUTE ON FUNCTION write_container_minutes FROM PUBLIC;

-- Of the node itself.
CREATE FUNCTION write_node_minutes(
  text, timestamptz[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[],
  bigint[], bigint[], bigint[]
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  series integer[];
  stored integer;
BEGIN
  PERFORM check_metric_batch($1, $2);
  series := metric_series_of('node', $1, ARRAY['00000000-0000-0000-0000-000000000000'::uuid], ARRAY[''], ARRAY['']);
    INSERT INTO node_metrics (
      series_id, minute, cpu_busy_nanos, cpu_total_nanos, memory_used_bytes, memory_total_bytes,
      disk_used_bytes, disk_total_bytes, load1_hundredths, pressure_cpu_micros, pressure_memory_micros,
      pressure_io_micros, samples
    )
    SELECT
      series[1], row.minute, row.cpu_busy_nanos, row.cpu_total_nanos, row.memory_used_bytes,
      row.memory_total_bytes, row.disk_used_bytes, row.disk_total_bytes, row.load1_hundredths,
      row.pressure_cpu_micros, row.pressure_memory_micros, row.pressure_io_micros, row.samples
    FROM (
      SELECT
        unnest($2) AS minute, unnest($3) AS cpu_busy_nanos, unnest($4) AS cpu_total_nanos,
        unnest($5) AS memory_used_bytes, unnest($6) AS memory_total_bytes, unnest($7) AS disk_used_bytes,
        unnest($8) AS disk_total_bytes, unnest($9) AS load1_hundredths, unnest($10) AS pressure_cpu_micros,
        unnest($11) AS pressure_memory_micros, unnest($12) AS pressure_io_micros, unnest($13) AS samples
    ) AS row
    ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS stored = ROW_COUNT;
  RETURN stored;
END
$$;
REVOKE EXECUTE ON FUNCTION write_node_minutes FROM PUBLIC;

-- Of requests to deployments, as a node saw them. Buckets are text, such as {1,2,3}: there are no arrays of arrays of different
-- lengths.
CREATE FUNCTION write_request_minutes(
  text, uuid[], integer[], timestamptz[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[],
  bigint[], bigint[], bigint[], text[]
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  series integer[];
  stored integer;
BEGIN
  PERFORM check_metric_batch($1, $4);
  series := metric_series_of('request', $1, $2, array_fill(''::text, ARRAY[cardinality($2)]),
    array_fill(''::text, ARRAY[cardinality($2)]));
    INSERT INTO request_metrics (
      series_id, minute, requests, status_1xx, status_2xx, status_3xx, status_4xx, status_5xx, bytes_in,
      bytes_out, latency_sum_micros, latency_buckets
    )
    SELECT
      series[row.place], row.minute, row.requests, row.status_1xx, row.status_2xx, row.status_3xx,
      row.status_4xx, row.status_5xx, row.bytes_in, row.bytes_out, row.latency_sum_micros,
      row.latency_buckets::bigint[]
    FROM (
      SELECT
        unnest($3) AS place, unnest($4) AS minute, unnest($5) AS requests, unnest($6) AS status_1xx,
        unnest($7) AS status_2xx, unnest($8) AS status_3xx, unnest($9) AS status_4xx, unnest($10) AS status_5xx,
        unnest($11) AS bytes_in, unnest($12) AS bytes_out, unnest($13) AS latency_sum_micros,
        unnest($14) AS latency_buckets
    ) AS row
    ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS stored = ROW_COUNT;
  RETURN stored;
END
$$;
REVOKE EXECUTE ON FUNCTION write_request_minutes FROM PUBLIC;

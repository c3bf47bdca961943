-- Rows that are all new are written without being read back: of the time of a batch that was a sixth.
CREATE OR REPLACE FUNCTION write_container_minutes(
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
  -- Nearly always none of the rows is there, and then a plain insert takes a fifth less; all of them are new, so their hours
  -- are those of what came in.
  BEGIN
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
    ) AS row;
    GET DIAGNOSTICS stored = ROW_COUNT;
    INSERT INTO usage_due (series_id, hour)
      SELECT DISTINCT series[row.place], date_bin('1 hour', row.minute, 'epoch') AS hour
      FROM (SELECT unnest($5) AS place, unnest($6) AS minute) AS row
      ORDER BY 1, 2
      ON CONFLICT (series_id, hour) DO UPDATE SET changes = usage_due.changes + 1;
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

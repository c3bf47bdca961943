import { sql } from 'kysely';
import type { StreamerObservation } from '../../../activities/observe-cluster.ts';
import { type Database, ROWS_PER_INSERT } from '../database.ts';

/**
 * Records what was heard of streamers, over what was heard before. A rise of the rows lost is noted with its time; a
 * number that falls is that of a streamer that has begun anew, and counts from zero.
 */
export async function recordStreamers(db: Database, seen: readonly StreamerObservation[]): Promise<void> {
  for (let at = 0; at < seen.length; at += ROWS_PER_INSERT) {
    const rows = seen.slice(at, at + ROWS_PER_INSERT);
    await sql`
      INSERT INTO streamer_observations AS old
        (node_id, observed_at, reachable, healthy, breaker_state, spool_age_seconds, rows_lost, dropped_at)
      SELECT node_id, now(), reachable, healthy, breaker_state, spool_age_seconds, rows_lost,
        CASE WHEN rows_lost > 0 THEN now() END
      FROM jsonb_to_recordset(${JSON.stringify(rows.map(toRow))}::jsonb) AS seen
        (node_id text, reachable boolean, healthy boolean, breaker_state integer,
         spool_age_seconds double precision, rows_lost bigint)
      WHERE EXISTS (SELECT FROM nodes WHERE nodes.id = seen.node_id)
      ORDER BY node_id
      ON CONFLICT (node_id) DO UPDATE SET
        observed_at = excluded.observed_at, reachable = excluded.reachable, healthy = excluded.healthy,
        breaker_state = excluded.breaker_state, spool_age_seconds = excluded.spool_age_seconds,
        rows_lost = CASE WHEN excluded.reachable THEN excluded.rows_lost ELSE old.rows_lost END,
        dropped_at = CASE
          WHEN excluded.reachable AND excluded.rows_lost > 0 AND excluded.rows_lost <> old.rows_lost
          THEN excluded.observed_at ELSE old.dropped_at END`.execute(db);
  }
}

function toRow(seen: StreamerObservation) {
  return {
    ...{ node_id: seen.nodeId, reachable: seen.reachable, healthy: seen.healthy, breaker_state: seen.breakerState },
    ...{ spool_age_seconds: seen.spoolAgeSeconds, rows_lost: seen.rowsLost },
  };
}

/** Lists hostnames of routes whose certificate was not looked at for an hour, those first that waited longest. */
export async function listUnlookedHostnames(db: Database, limit: number): Promise<string[]> {
  const { rows } = await sql<{ hostname: string }>`
    SELECT routes.hostname FROM routes
    LEFT JOIN certificate_observations seen ON seen.hostname = routes.hostname
    WHERE seen.checked_at IS NULL OR seen.checked_at < now() - interval '1 hour'
    ORDER BY seen.checked_at NULLS FIRST, routes.hostname LIMIT ${limit}`.execute(db);
  return rows.map(({ hostname }) => hostname);
}

/** Records when the certificate of a hostname expires; `null` when none could be read. */
export async function recordCertificate(db: Database, hostname: string, notAfter: Date | null): Promise<void> {
  await sql`
    INSERT INTO certificate_observations (hostname, checked_at, not_after) VALUES (${hostname}, now(), ${notAfter})
    ON CONFLICT (hostname) DO UPDATE SET checked_at = excluded.checked_at, not_after = excluded.not_after`.execute(db);
}

import { NO_DATA, type Reading, readValue } from '../../../domain/alerts/alert-state.ts';
import type { Subject } from '../../../domain/alerts/subject.ts';
import type { DiskLevel } from '../../../domain/disk-guard.ts';
import { BREAKER_CODE } from '../../../domain/metrics/circuit-breaker.ts';
import type { DatabaseTransaction } from '../database.ts';
import { NOT_SEEN_YET } from '../nodes.ts';
import { isOneOfTexts } from '../page.ts';

/** An observation that is older says nothing: it is made every 30 s. */
const FRESH_MS = 100_000;

/** How long rows that were dropped are told of. */
const DROPPED_MS = 15 * 60_000;

const DISK_CODE: Record<DiskLevel, number> = { room: 0, low: 1, full: 2 };

/** Reads what is known of nodes and of their streamers: the subjects of the platform's alerts. */
export async function readNodeSubjects(tx: DatabaseTransaction, ids: readonly string[], now: Date): Promise<Subject[]> {
  const rows = await tx
    .selectFrom('nodes')
    .leftJoin('streamer_observations as seen', 'seen.node_id', 'nodes.id')
    .select(['nodes.id', 'nodes.hostname', 'nodes.state', 'nodes.reason', 'nodes.disk_level', 'nodes.disk_notice'])
    .select(['seen.observed_at', 'seen.reachable', 'seen.healthy', 'seen.breaker_state', 'seen.spool_age_seconds'])
    .select('seen.dropped_at')
    .where(isOneOfTexts('nodes.id', ids))
    .execute();
  return rows.map((row) => {
    const isUnseen = row.state === 'lost' && row.reason === NOT_SEEN_YET;
    const isLost = row.state === 'lost';
    const isFresh = row.observed_at !== null && now.getTime() - row.observed_at.getTime() < FRESH_MS;
    // Of a lost node nothing is known but that: its streamer is silent for the same reason.
    const isKnown = isFresh && !isLost;
    const told = (value: number | null): Reading =>
      isKnown && row.reachable === true && value !== null ? readValue(value) : NO_DATA;
    const wasDropped = row.dropped_at !== null && now.getTime() - row.dropped_at.getTime() < DROPPED_MS;
    return {
      ...{ kind: 'node', id: row.id, organizationId: null, name: row.hostname },
      readings: {
        'node-lost': isUnseen ? NO_DATA : readValue(isLost ? 1 : 0),
        'node-disk': isLost ? NO_DATA : readValue(DISK_CODE[row.disk_level]),
        'streamer-silent': isKnown ? readValue(row.reachable ? 0 : 1) : NO_DATA,
        'metrics-unhealthy': told(row.healthy ? 0 : 1),
        // Half open, one call a minute tries whether Docker is back; that it is has not been seen until it closes.
        'metrics-breaker-open': told(row.breaker_state === BREAKER_CODE.closed ? 0 : 1),
        'metrics-spool-age': told(row.spool_age_seconds),
        'metrics-rows-dropped': told(wasDropped ? 1 : 0),
      },
      details: {
        ...(isLost ? { 'node-lost': row.reason.slice(0, 300) } : {}),
        ...(row.disk_notice === '' ? {} : { 'node-disk': row.disk_notice.slice(0, 300) }),
      },
    };
  });
}

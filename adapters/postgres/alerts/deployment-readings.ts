import { sql } from 'kysely';
import type { MeasuredUsage } from '../../../activities/evaluate-alerts.ts';
import { NO_DATA, type Reading, readValue } from '../../../domain/alerts/alert-state.ts';
import type { Subject } from '../../../domain/alerts/subject.ts';
import type { DatabaseTransaction } from '../database.ts';
import { NOT_SEEN_YET } from '../nodes.ts';

interface Row {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly stopped: boolean;
  readonly isBusy: boolean;
  readonly wanted: number;
  readonly serving: number;
  readonly down: number;
  readonly streak: number;
  readonly restarts: number;
  readonly lostVolumes: number;
  readonly lostNode: string | null;
  readonly expiresAt: Date | null;
  readonly hostname: string | null;
}

/**
 * Reads what the control database knows of deployments; with what was measured these are the subjects of their alerts.
 *
 * @param usage by deployment; `null` when nobody looked, so that alerts on it stay as they are.
 */
export async function readDeploymentSubjects(
  tx: DatabaseTransaction,
  ids: readonly string[],
  usage: ReadonlyMap<string, MeasuredUsage> | null,
  now: Date,
): Promise<Subject[]> {
  const { rows } = await QUERY(ids).execute(tx);
  return rows.map((row) => toSubject(row, usage && (usage.get(row.id) ?? {}), now));
}

/** Whether the revision that runs mounts the volume, to write it or only to read it. */
const MOUNTS = sql<boolean>`(
  jsonb_path_exists(s.spec, '$.volumes[*] ? (@.volume == $name)', jsonb_build_object('name', v.name))
  OR jsonb_path_exists(s.spec, '$.services[*].volumes[*] ? (@.volume == $name)', jsonb_build_object('name', v.name)))`;

/** One statement, so that all of it is of one moment. A certificate that was not looked at for a day is not known. */
const QUERY = (ids: readonly string[]) => sql<Row>`
  SELECT d.id, d.organization_id AS "organizationId", d.name, d.stopped,
    EXISTS (
      SELECT FROM operations o
      WHERE o.deployment_id = d.id AND o.state IN ('queued', 'running', 'waiting') AND o.kind <> 'heal'
    ) AS "isBusy",
    coalesce((SELECT sum(s.replicas) FROM deployment_services s WHERE s.deployment_id = d.id), 0)::integer AS wanted,
    r.serving, r.down, r.streak,
    (SELECT count(*) FROM deployment_events e
      WHERE e.deployment_id = d.id AND e.kind = 'replica.restarted' AND e.at > now() - interval '15 minutes'
    )::integer AS restarts,
    v.lost AS "lostVolumes", v.node AS "lostNode",
    c.not_after AS "expiresAt", c.hostname
  FROM deployments d
  LEFT JOIN LATERAL (
    SELECT count(*)::integer AS serving,
      count(*) FILTER (WHERE p.state <> 'healthy' OR p.gone OR n.state = 'lost')::integer AS down,
      coalesce(max(p.restart_streak), 0)::integer AS streak
    FROM replicas p JOIN nodes n ON n.id = p.node_id
    WHERE p.deployment_id = d.id AND p.serving
  ) r ON true
  LEFT JOIN LATERAL (
    SELECT count(*)::integer AS lost, min(n.id) AS node
    FROM volumes v JOIN nodes n ON n.id = v.node_id
    LEFT JOIN revisions s ON s.deployment_id = d.id AND s.number = d.current_revision
    WHERE v.project_id = d.project_id AND n.state = 'lost' AND n.reason <> ${NOT_SEEN_YET}
      AND (v.writer_deployment_id = d.id OR ${MOUNTS})
  ) v ON true
  LEFT JOIN LATERAL (
    SELECT o.not_after, o.hostname
    FROM routes t JOIN certificate_observations o ON o.hostname = t.hostname
    WHERE t.deployment_id = d.id AND o.not_after IS NOT NULL AND o.checked_at > now() - interval '1 day'
    ORDER BY o.not_after, o.hostname LIMIT 1
  ) c ON true
  WHERE d.id = ANY(${ids}::uuid[]) AND NOT d.deleting`;

const DAY_MS = 24 * 3_600_000;

function toSubject(row: Row, usage: MeasuredUsage | null, now: Date): Subject {
  const { id, organizationId, name, stopped, expiresAt, hostname, lostNode } = row;
  // What is stopped runs nothing, so it uses nothing: that is known, and not read from silence.
  const used = (value: number | null | undefined): Reading => (stopped ? readValue(0) : fromMeasured(value));
  // While an operation goes on, fewer than are wanted may be on purpose; one that serves and is down never is.
  const short = row.isBusy ? 0 : row.wanted - row.serving;
  return {
    ...{ kind: 'deployment', id, organizationId, name },
    readings: {
      ...(usage === null
        ? {}
        : {
            cpu: used(usage.cpuPercent),
            memory: used(usage.memoryPercent),
            'error-rate': used(usage.serverErrorPercent),
          }),
      restarts: readValue(stopped ? 0 : row.restarts),
      'crash-loop': readValue(stopped ? 0 : row.streak),
      'replica-down': readValue(stopped ? 0 : Math.max(0, short) + row.down),
      'volumes-on-lost-node': readValue(!stopped && row.lostVolumes > 0 ? 1 : 0),
      'certificate-expiry': expiresAt ? readValue((expiresAt.getTime() - now.getTime()) / DAY_MS) : NO_DATA,
    },
    details: {
      ...(hostname === null ? {} : { 'certificate-expiry': hostname }),
      ...(lostNode === null ? {} : { 'volumes-on-lost-node': lostNode }),
    },
  };
}

function fromMeasured(value: number | null | undefined): Reading {
  return value === null || value === undefined ? NO_DATA : readValue(value);
}

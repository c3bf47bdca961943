import type { Selectable } from 'kysely';
import type { Database, DatabaseTransaction } from './database.ts';
import { type NewEvent, recordEvents } from './events.ts';
import { requireLease } from './node-leases.ts';
import { isOneOf } from './page.ts';
import { eventsOf } from './replica-events.ts';
import type { Schema } from './schema.ts';

/** A container of a replica as its node sees it. */
export interface ObservedReplica {
  readonly deploymentId: string;
  readonly revision: number;
  readonly replicaId: string;
  readonly containerId: string;
  readonly state: 'starting' | 'healthy' | 'unhealthy' | 'exited' | 'removed';
  /** Why it is unhealthy; empty otherwise. */
  readonly healthReason: string;
  /** Of the last exit; `null` when none is known. */
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
  /** Restarts in all, and since it last ran for long. */
  readonly restarts: number;
  readonly restartStreak: number;
  /** `null` while it runs, and when it is not to be restarted. */
  readonly nextRestartAt: Date | null;
  /** Published port on the node's address; `null` without one. */
  readonly hostPort: number | null;
  readonly startedAt: Date | null;
}

/** What a node reports. */
export interface ReplicaReport {
  readonly nodeId: string;
  /**
   * Under which the node's process has the lease; absent when an activity found this, of which the newest attempt alone
   * is heard.
   */
  readonly epoch?: number;
  readonly replicas: readonly ObservedReplica[];
  /** Whether `replicas` is everything that the node has. */
  readonly complete: boolean;
}

type ReplicaRow = Selectable<Schema['replicas']>;

/** The columns that follow from reports. */
type Change = Partial<
  Pick<ReplicaRow, 'state' | 'container_id' | 'address_port' | 'started_at' | 'exit_code' | 'out_of_memory'> &
    Pick<ReplicaRow, 'restarts' | 'restart_streak' | 'next_restart_at' | 'gone' | 'health_reason'>
>;

/** A replica that is recorded on a node, and was not in its complete report. */
export type UnseenReplica = Pick<ObservedReplica, 'deploymentId' | 'revision' | 'replicaId' | 'containerId'>;

/** A row that a report changes, and what there is to tell of it. */
interface RowChange {
  readonly row: ReplicaRow;
  readonly change: Change;
  readonly events: readonly NewEvent[];
}

/**
 * Stores what a node reports of its replicas. Only rows of that node change, so a node cannot speak for another.
 *
 * Whether a replica serves stays the rollout's to say. Unknown replicas are ignored, and so are those on their way
 * out. A report that says nothing new writes nothing, so reporting twice is safe.
 *
 * @returns recorded replicas that a complete report left out. Not being listed never means being gone (Docker 20.10
 * lists nothing after a restart on a full disk): the node looks at each by id, and says so when it is.
 */
export async function reportReplicas(db: Database, report: ReplicaReport): Promise<readonly UnseenReplica[]> {
  const recorded = await readRows(db, report);
  const unseen = report.complete ? unseenOf(recorded, report) : [];
  const seen = changesOf(recorded, report);
  if (seen.length === 0) return unseen;
  const deploymentIds = [...new Set(seen.map(({ row }) => row.deployment_id))];
  await db.transaction().execute(async (tx) => {
    const deployments = await tx
      .selectFrom('deployments')
      .select(['id', 'organization_id as organizationId'])
      .where(isOneOf('id', deploymentIds))
      .orderBy('id')
      .forNoKeyUpdate()
      .execute();
    if (report.epoch !== undefined) await requireLease(tx, { nodeId: report.nodeId, epoch: report.epoch });
    const locked = new Set(deployments.map((deployment) => deployment.id));
    const rows = (await readRows(tx, report)).filter((row) => locked.has(row.deployment_id));
    const changes = changesOf(rows, report);
    for (const { row, change } of changes) await applyChange(tx, row, change);
    for (const deployment of deployments) {
      const own = changes.filter(({ row }) => row.deployment_id === deployment.id);
      await recordEvents(
        tx,
        deployment,
        own.flatMap(({ events }) => events),
      );
    }
  });
  return unseen;
}

function unseenOf(rows: readonly ReplicaRow[], { replicas }: ReplicaReport): UnseenReplica[] {
  const reported = new Set(replicas.map((seen) => seen.containerId));
  return rows.flatMap(({ deployment_id, revision, replica_id, container_id, state }) => {
    const isOver = state === 'removing' || state === 'exited';
    if (container_id === null || isOver || reported.has(container_id)) return [];
    return [{ deploymentId: deployment_id, revision, replicaId: replica_id, containerId: container_id }];
  });
}

async function readRows(db: Database, { nodeId, replicas, complete }: ReplicaReport): Promise<ReplicaRow[]> {
  let query = db.selectFrom('replicas').selectAll().where('node_id', '=', nodeId);
  if (!complete) query = query.where(isOneOf('deployment_id', [...new Set(replicas.map((seen) => seen.deploymentId))]));
  return await query.orderBy('deployment_id').orderBy('replica_id').execute();
}

async function applyChange(tx: DatabaseTransaction, row: ReplicaRow, change: Change): Promise<void> {
  await tx
    .updateTable('replicas')
    .set(change)
    .where('deployment_id', '=', row.deployment_id)
    .where('replica_id', '=', row.replica_id)
    .execute();
}

function changesOf(rows: readonly ReplicaRow[], { replicas }: ReplicaReport): RowChange[] {
  // Somebody on the host may have made a container that claims to be a replica: it must not hide the replica's own.
  const observed = Map.groupBy(replicas, (seen) => `${seen.deploymentId} ${seen.replicaId}`);
  return rows.flatMap((row) => {
    if (row.state === 'removing') return [];
    const claims = observed.get(`${row.deployment_id} ${row.replica_id}`) ?? [];
    const seen = claims.find((one) => one.containerId === row.container_id) ?? claims.at(-1);
    return seen && isSameContainer(row, seen) ? (observedChange(row, seen) ?? []) : [];
  });
}

/** What is told of another container than the one that serves is older or newer than the record, so not about it. */
function isSameContainer(row: ReplicaRow, seen: ObservedReplica): boolean {
  const isOpen = row.container_id === null || !row.serving;
  return seen.revision === row.revision && (isOpen || row.container_id === seen.containerId);
}

function observedChange(row: ReplicaRow, seen: ObservedReplica): RowChange | undefined {
  if (seen.state === 'removed') return row.gone ? undefined : goneChange(row);
  const { state, health_reason } = isOldNews(row, seen) ? row : { state: seen.state, health_reason: seen.healthReason };
  const wanted: Required<Change> = {
    ...{ state, health_reason },
    container_id: seen.containerId,
    address_port: row.address_port === null ? null : (seen.hostPort ?? row.address_port),
    started_at: seen.startedAt ?? row.started_at,
    exit_code: seen.exitCode ?? row.exit_code,
    out_of_memory: seen.outOfMemory,
    restarts: seen.restarts,
    restart_streak: seen.restartStreak,
    next_restart_at: seen.nextRestartAt,
    gone: false,
  };
  const isSame = (Object.keys(wanted) as (keyof Change)[]).every(
    (key) => row[key]?.valueOf() === wanted[key]?.valueOf(),
  );
  return isSame ? undefined : { row, change: wanted, events: eventsOf(row, seen) };
}

/** Two times of one start differ by less: one was rounded to microseconds, the other cut to milliseconds. */
const SAME_START_MS = 2;

/**
 * Whether a report was on its way while the rollout found the replica healthy: once it has been, it is only starting
 * again when it has been started again.
 */
function isOldNews({ state, started_at, container_id }: ReplicaRow, seen: ObservedReplica): boolean {
  if (seen.state !== 'starting' || (state !== 'healthy' && state !== 'unhealthy')) return false;
  if (started_at === null || seen.startedAt === null || container_id !== seen.containerId) return false;
  return Math.abs(started_at.getTime() - seen.startedAt.getTime()) < SAME_START_MS;
}

function goneChange(row: ReplicaRow): RowChange {
  const message = `container of ${row.replica_id} is gone from ${row.node_id}`;
  const change: Change = { state: 'exited', next_restart_at: null, gone: true, health_reason: '' };
  return { row, change, events: [{ kind: 'replica.exited', message, replicaId: row.replica_id }] };
}

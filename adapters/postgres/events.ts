import { type Database, type DatabaseTransaction, ROWS_PER_INSERT } from './database.ts';

/** What happened to a deployment: the kinds of `WatchDeployment`. */
export type EventKind =
  | 'operation.queued'
  | 'operation.started'
  | 'operation.succeeded'
  | 'operation.failed'
  | 'operation.superseded'
  | 'operation.cancelled'
  | 'operation.cancel_requested'
  | 'operation.pause_requested'
  | 'operation.resumed'
  | 'operation.approved'
  | 'operation.waiting'
  | 'operation.continued'
  | 'build.waiting'
  | 'source.resolved'
  | 'source.read'
  | 'build.started'
  | 'build.detected'
  | 'build.finished'
  | 'replica.placed'
  | 'replica.healthy'
  | 'replica.unhealthy'
  | 'replica.exited'
  | 'replica.restarted'
  | 'replica.removed'
  | 'volume.carried'
  | 'volume.left'
  | 'route.switched';

/** Something that happened to a deployment. */
export interface DeploymentEventRecord {
  /** Rises within a deployment, with gaps, in the order in which events can be seen. */
  readonly sequence: number;
  readonly at: Date;
  readonly operationId: string | null;
  readonly kind: string;
  readonly message: string;
  readonly replicaId: string | null;
  /** Who asked for it; `null` for what the platform did by itself. */
  readonly actorUserId: string | null;
  /** What the step took, by name: attempts, milliseconds. */
  readonly details: Readonly<Record<string, number>>;
}

/** Lists a deployment's events after a sequence, in order; of deleted deployments as well. */
export async function listEvents(
  db: Database,
  wanted: { readonly deploymentId: string; readonly afterSequence: number; readonly limit: number },
): Promise<DeploymentEventRecord[]> {
  return await selectEvents(db)
    .where('deployment_id', '=', wanted.deploymentId)
    .where('sequence', '>', wanted.afterSequence)
    .orderBy('sequence')
    .limit(wanted.limit)
    .execute();
}

/** Lists what happened in an operation, in order; of deleted deployments as well. */
export async function listSteps(
  db: Database,
  wanted: { readonly deploymentId: string; readonly operationId: string; readonly limit: number },
): Promise<DeploymentEventRecord[]> {
  return await selectEvents(db)
    .where('deployment_id', '=', wanted.deploymentId)
    .where('operation_id', '=', wanted.operationId)
    .orderBy('sequence')
    .limit(wanted.limit)
    .execute();
}

function selectEvents(db: Database) {
  return db
    .selectFrom('deployment_events')
    .select(['sequence', 'at', 'operation_id as operationId', 'kind', 'message', 'replica_id as replicaId'])
    .select(['actor_user_id as actorUserId', 'details']);
}

/** An event to be recorded. */
export interface NewEvent {
  readonly kind: EventKind;
  readonly message: string;
  readonly operationId?: string;
  readonly replicaId?: string;
  readonly actorUserId?: string;
  readonly details?: Readonly<Record<string, number>>;
}

/** Longest message that the table takes. */
export const MAX_MESSAGE_LENGTH = 8192;

/**
 * Records events of one deployment, in the given order.
 *
 * The transaction must hold the deployment's row, or have inserted it: that is what makes sequences of one deployment
 * become visible in order, so a watcher that goes on after the last one it saw misses none.
 */
export async function recordEvents(
  tx: DatabaseTransaction,
  deployment: { readonly id: string; readonly organizationId: string },
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event) => ({
    deployment_id: deployment.id,
    organization_id: deployment.organizationId,
    operation_id: event.operationId ?? null,
    kind: event.kind,
    message: toStorableText(event.message, MAX_MESSAGE_LENGTH),
    replica_id: event.replicaId ?? null,
    actor_user_id: event.actorUserId ?? null,
    details: JSON.stringify(event.details ?? {}),
  }));
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    await tx
      .with('touched', (db) =>
        db
          .updateTable('deployments')
          .set((eb) => ({ updated_at: eb.fn<Date>('now') }))
          .where('id', '=', deployment.id),
      )
      .insertInto('deployment_events')
      .values(rows.slice(from, from + ROWS_PER_INSERT))
      .execute();
  }
}

/** Cuts a text to what the table takes; the database refuses NUL, which the output of a build may hold. */
export function toStorableText(text: string, maxLength: number): string {
  return text.replaceAll('\0', '').toWellFormed().slice(0, maxLength).toWellFormed();
}

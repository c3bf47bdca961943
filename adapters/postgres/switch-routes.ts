import { sql } from 'kysely';
import type { OperationRef, SwitchRoutesInput } from '../../contracts/activities.ts';
import type { StartedReplica } from '../../contracts/rollout.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { hasRoute, lockExisting, pinRevision, settleGeneration } from './deployment-lock.ts';
import { type NewEvent, recordEvents } from './events.ts';
import type { ReplicaState } from './schema.ts';

/**
 * Makes the routes send requests to `serve` and `resume` and no longer to `drain`, and pins the revision to the digest
 * of what serves. Writing the same twice moves no generation, so a repeated call answers with the one it made.
 */
export async function switchRoutes(
  db: Database,
  { deploymentId, operationId, revision, serve, resume, drain }: SwitchRoutesInput,
): Promise<{ readonly generation: number | null }> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const began = (await markServing(tx, deploymentId, serve)).map((id) => healthyEvent(operationId, id));
    const resumed = await setServing(tx, { deploymentId, replicaIds: resume, serving: true });
    const drained = await setServing(tx, { deploymentId, replicaIds: drain, serving: false });
    const digest = serve[0]?.imageDigest;
    if (digest !== undefined) await pinRevision(tx, { deploymentId, number: revision, digest });
    await recordServingRevision(tx, deploymentId);

    const isRouted = await hasRoute(tx, deploymentId);
    const generation = isRouted ? await settleGeneration(tx) : null;
    const isSwitched = began.length + resumed + drained > 0;
    const message = describeSwitch({ began: began.length, resumed, drained, generation });
    const switched: NewEvent[] = isSwitched && isRouted ? [{ kind: 'route.switched', message, operationId }] : [];
    await recordEvents(tx, deployment, [...began, ...switched]);
    return { generation };
  });
}

/** Forgets replicas whose containers have been removed, and releases their reservations. */
export async function forgetReplicas(
  db: Database,
  { deploymentId, operationId, replicaIds }: OperationRef & { readonly replicaIds: readonly string[] },
): Promise<void> {
  if (replicaIds.length === 0) return;
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const forgotten = await tx
      .deleteFrom('replicas')
      .where('deployment_id', '=', deploymentId)
      .where('replica_id', '=', sql<string>`ANY(${replicaIds}::text[])`)
      .returning('replica_id')
      .execute();
    const removed = forgotten.map((row): NewEvent => {
      const message = `${row.replica_id} is removed`;
      return { kind: 'replica.removed', message, replicaId: row.replica_id, operationId };
    });
    await recordServingRevision(tx, deploymentId);
    await recordEvents(tx, deployment, removed);
  });
}

/** One statement for all, since there may be ten thousand. @returns those that began to serve by this call. */
async function markServing(
  tx: DatabaseTransaction,
  deploymentId: string,
  serve: readonly StartedReplica[],
): Promise<string[]> {
  const started = serve.map((replica) => ({
    replica_id: replica.replicaId,
    container_id: replica.containerId,
    host: replica.address?.host ?? null,
    port: replica.address?.port ?? null,
    image_digest: replica.imageDigest,
    started_at: replica.startedAt,
  }));
  const { rows } = await sql<{ replica_id: string }>`
    UPDATE replicas SET
      state = 'healthy', serving = true, exit_code = NULL, out_of_memory = false, next_restart_at = NULL, gone = false,
      container_id = started.container_id, image_digest = started.image_digest, started_at = started.started_at,
      address_host = started.host, address_port = started.port
    FROM jsonb_to_recordset(${JSON.stringify(started)}::jsonb) AS started (
      replica_id text, container_id text, host text, port integer, image_digest text, started_at timestamptz
    )
    WHERE replicas.deployment_id = ${deploymentId} AND replicas.replica_id = started.replica_id
      AND NOT (replicas.serving AND replicas.container_id = started.container_id)
    RETURNING replicas.replica_id`.execute(tx);
  return rows.map((row) => row.replica_id).sort();
}

/**
 * What drains is on its way out; what resumes was healthy when it was drained, unless its container has gone since.
 *
 * @returns how many rows changed.
 */
async function setServing(
  tx: DatabaseTransaction,
  change: { readonly deploymentId: string; readonly replicaIds: readonly string[]; readonly serving: boolean },
): Promise<number> {
  if (change.replicaIds.length === 0) return 0;
  const changed = await tx
    .updateTable('replicas')
    .set((eb) => ({
      serving: change.serving,
      state: change.serving
        ? eb.case().when('gone', '=', true).then<ReplicaState>('exited').else<ReplicaState>('healthy').end()
        : 'removing',
    }))
    .where('deployment_id', '=', change.deploymentId)
    .where('replica_id', '=', sql<string>`ANY(${change.replicaIds}::text[])`)
    .where('serving', '<>', change.serving)
    .where('container_id', 'is not', null)
    .returning('replica_id')
    .execute();
  return changed.length;
}

/** The newest revision that serves; 0 when none does. */
async function recordServingRevision(tx: DatabaseTransaction, deploymentId: string): Promise<void> {
  const serving = sql<number>`coalesce((
    SELECT max(revision) FROM replicas WHERE deployment_id = ${deploymentId} AND serving
  ), 0)`;
  await tx
    .updateTable('deployments')
    .set({ serving_revision: serving })
    .where('id', '=', deploymentId)
    .where('serving_revision', '<>', serving)
    .execute();
}

function healthyEvent(operationId: string, replicaId: string): NewEvent {
  return { kind: 'replica.healthy', message: `${replicaId} is healthy`, replicaId, operationId };
}

interface Switch {
  readonly began: number;
  readonly resumed: number;
  readonly drained: number;
  readonly generation: number | null;
}

function describeSwitch({ began, resumed, drained, generation }: Switch): string {
  const parts = [
    ...(began > 0 ? [`${began} new`] : []),
    ...(resumed > 0 ? [`${resumed} again`] : []),
    ...(drained > 0 ? [`${drained} no longer`] : []),
  ];
  return `routes switched: ${parts.join(', ')} (generation ${generation})`;
}

import { sql } from 'kysely';
import type { ForgetInput, OperationRef, SwitchRoutesInput } from '../../contracts/activities.ts';
import type { StartedReplica } from '../../contracts/rollout.ts';
import { replicaTitle } from '../../domain/naming.ts';
import { ONLY_SERVICE } from '../../domain/spec.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { hasRoute, type LockedDeployment, lockExisting, settleGeneration } from './deployment-lock.ts';
import { doomReplicas } from './doomed.ts';
import { type NewEvent, recordEvents } from './events.ts';
import { isOneOfTexts } from './page.ts';
import { pinImages } from './revision-images.ts';
import type { ReplicaState } from './schema.ts';

/**
 * Makes the routes send requests to `serve` and `resume` and no longer to `drain`, and pins what serves to its digests.
 * Writing the same twice moves no generation, so a repeated call answers with the one it made.
 */
export async function switchRoutes(
  db: Database,
  { deploymentId, operationId, serve, resume, drain, weight }: SwitchRoutesInput,
): Promise<{ readonly generation: number | null }> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const began = await markServing(tx, deploymentId, serve);
    const resumed = await resumeServing(tx, { deploymentId, replicaIds: resume });
    const drained = await stopServing(tx, { deploymentId, operationId, replicaIds: drain });
    const digests = new Map(serve.map((started) => [started.replicaId, started.imageDigest]));
    const services = new Map(began.map(({ replicaId, service }) => [replicaId, service]));
    const images = began.map(({ replicaId, ...of }) => ({ ...of, digest: digests.get(replicaId) ?? '' }));
    await pinImages(tx, deploymentId, firstOfEach(images));
    await recordServingRevision(tx, deploymentId);
    const isWeighed = await weigh(tx, deploymentId, weight);

    const isRouted = await hasRoute(tx, deploymentId);
    const generation = isRouted ? await settleGeneration(tx) : null;
    const isSwitched = began.length + resumed + drained > 0 || isWeighed;
    const message = describeSwitch({ began: began.length, resumed, drained, weight, generation });
    const switched: NewEvent[] = isSwitched && isRouted ? [{ kind: 'route.switched', message, operationId }] : [];
    const healthy = serve
      .filter(({ replicaId }) => began.some((one) => one.replicaId === replicaId))
      .map((started) => healthyEvent(operationId, started, services.get(started.replicaId) ?? ONLY_SERVICE));
    await recordEvents(tx, deployment, [...healthy, ...switched]);
    return { generation };
  });
}

/** Tells which replicas are no longer healthy by what their nodes report. */
export async function findUnhealthy(
  db: Database,
  { deploymentId, replicaIds }: OperationRef & { readonly replicaIds: readonly string[] },
): Promise<string[]> {
  const healthy = await db
    .selectFrom('replicas')
    .select('replica_id')
    .where('deployment_id', '=', deploymentId)
    .where(isOneOfTexts('replica_id', replicaIds))
    .where('state', '=', 'healthy')
    .execute();
  const known = new Set(healthy.map((row) => row.replica_id));
  return replicaIds.filter((replicaId) => !known.has(replicaId));
}

/** Forgets replicas and releases their reservations. What could not be removed is left to its node's return. */
export async function forgetReplicas(
  db: Database,
  { deploymentId, operationId, removed, unreachable }: ForgetInput,
): Promise<void> {
  const replicaIds = [...removed, ...unreachable];
  if (replicaIds.length === 0) return;
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    await doomReplicas(tx, deployment, unreachable);
    const forgotten = await tx
      .deleteFrom('replicas')
      .where('deployment_id', '=', deploymentId)
      .where(isOneOfTexts('replica_id', replicaIds))
      .returning(['replica_id as replicaId', 'service'])
      .execute();
    const left = new Set(unreachable);
    const events = forgotten.map(({ replicaId, service }): NewEvent => {
      const title = replicaTitle({ replicaId, service });
      const message = left.has(replicaId) ? `${title} goes when its node answers again` : `${title} is removed`;
      return { kind: 'replica.removed', message, replicaId, operationId };
    });
    await recordServingRevision(tx, deploymentId);
    await recordEvents(tx, deployment, events);
  });
}

interface Began {
  readonly replicaId: string;
  readonly service: string;
  readonly revision: number;
}

/** One statement for all, since there may be ten thousand. @returns those that began to serve by this call, by id. */
async function markServing(
  tx: DatabaseTransaction,
  deploymentId: string,
  serve: readonly StartedReplica[],
): Promise<Began[]> {
  const started = serve.map((replica) => ({
    replica_id: replica.replicaId,
    container_id: replica.containerId,
    host: replica.address?.host ?? null,
    port: replica.address?.port ?? null,
    image_digest: replica.imageDigest,
    started_at: replica.startedAt,
  }));
  const { rows } = await sql<Began>`
    UPDATE replicas SET
      state = 'healthy', serving = true, exit_code = NULL, out_of_memory = false, next_restart_at = NULL, gone = false,
      drained_by = NULL,
      container_id = started.container_id, image_digest = started.image_digest, started_at = started.started_at,
      address_host = started.host, address_port = started.port
    FROM jsonb_to_recordset(${JSON.stringify(started)}::jsonb) AS started (
      replica_id text, container_id text, host text, port integer, image_digest text, started_at timestamptz
    )
    WHERE replicas.deployment_id = ${deploymentId} AND replicas.replica_id = started.replica_id
      AND NOT (replicas.serving AND replicas.container_id = started.container_id)
    RETURNING replicas.replica_id AS "replicaId", replicas.service, replicas.revision`.execute(tx);
  return rows.sort((a, b) => (a.replicaId < b.replicaId ? -1 : 1));
}

/**
 * Puts back what was taken out before and still runs; it was healthy then, unless its container has gone since.
 *
 * @returns how many rows changed.
 */
async function resumeServing(
  tx: DatabaseTransaction,
  { deploymentId, replicaIds }: { readonly deploymentId: string; readonly replicaIds: readonly string[] },
): Promise<number> {
  if (replicaIds.length === 0) return 0;
  const resumed = await tx
    .updateTable('replicas')
    .set((eb) => ({
      serving: true,
      state: eb.case().when('gone', '=', true).then<ReplicaState>('exited').else<ReplicaState>('healthy').end(),
      drained_by: null,
    }))
    .where('deployment_id', '=', deploymentId)
    .where(isOneOfTexts('replica_id', replicaIds))
    .where('serving', '=', false)
    .where('container_id', 'is not', null)
    .returning('replica_id')
    .execute();
  return resumed.length;
}

/** What drains is on its way out, and only this operation may put it back. @returns how many rows changed. */
async function stopServing(
  tx: DatabaseTransaction,
  { deploymentId, operationId, replicaIds }: OperationRef & { readonly replicaIds: readonly string[] },
): Promise<number> {
  if (replicaIds.length === 0) return 0;
  const drained = await tx
    .updateTable('replicas')
    .set({ serving: false, state: 'removing', drained_by: operationId })
    .where('deployment_id', '=', deploymentId)
    .where(isOneOfTexts('replica_id', replicaIds))
    .where('serving', '=', true)
    .returning('replica_id')
    .execute();
  return drained.length;
}

/** @returns whether this call changed the shares; the generation moves by hand, as no route or replica changes. */
async function weigh(
  tx: DatabaseTransaction,
  deploymentId: string,
  weight: SwitchRoutesInput['weight'],
): Promise<boolean> {
  const wanted = { canary_revision: weight?.revision ?? null, canary_weight_percent: weight?.percent ?? null };
  const changed = await tx
    .updateTable('deployments')
    .set(wanted)
    .where('id', '=', deploymentId)
    .where(
      sql<boolean>`(canary_revision, canary_weight_percent)
        IS DISTINCT FROM (${wanted.canary_revision}::integer, ${wanted.canary_weight_percent}::integer)`,
    )
    .returning('id')
    .executeTakeFirst();
  if (!changed) return false;
  await tx
    .updateTable('ingress_generation')
    .set((eb) => ({ generation: eb('generation', '+', 1), changed_in: sql<string>`pg_current_xact_id()` }))
    .where(sql<boolean>`changed_in <> pg_current_xact_id()`)
    .execute();
  return true;
}

function firstOfEach<Image extends { readonly service: string; readonly revision: number }>(
  images: readonly Image[],
): Image[] {
  return [...new Map([...images].reverse().map((image) => [`${image.revision} ${image.service}`, image])).values()];
}

/** The newest revision that serves; 0 when none does. */
async function recordServingRevision(tx: DatabaseTransaction, deploymentId: LockedDeployment['id']): Promise<void> {
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

function healthyEvent(operationId: string, { replicaId, attempt, times }: StartedReplica, service: string): NewEvent {
  const details = { attempt, ...times };
  const message = `${replicaTitle({ replicaId, service })} is healthy`;
  return { kind: 'replica.healthy', message, replicaId, operationId, details };
}

interface Switch {
  readonly began: number;
  readonly resumed: number;
  readonly drained: number;
  readonly weight: SwitchRoutesInput['weight'];
  readonly generation: number | null;
}

function describeSwitch({ began, resumed, drained, weight, generation }: Switch): string {
  const parts = [
    ...(began > 0 ? [`${began} new`] : []),
    ...(resumed > 0 ? [`${resumed} again`] : []),
    ...(drained > 0 ? [`${drained} no longer`] : []),
    ...(weight ? [`${weight.percent} % for revision ${weight.revision}`] : []),
  ];
  return `routes switched${parts.length > 0 ? `: ${parts.join(', ')}` : ''} (generation ${generation})`;
}

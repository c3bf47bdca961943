import type { ServiceGoal } from '../../domain/rollout-goal.ts';
import { type DeploymentSpec, ONLY_SERVICE, servicesOf } from '../../domain/spec.ts';
import type { Database } from './database.ts';
import { newestOperations, type OperationRecord } from './operations.ts';
import { type CreatedPage, isAfter, isOneOf } from './page.ts';
import { listReplicaStandings, listReplicas, type ReplicaRecord, type ReplicaStanding } from './replicas.ts';
import type { PinnedImage } from './revision-images.ts';

/** A deployment with what its status follows from. */
export interface DeploymentRecord<Replica = ReplicaStanding> {
  readonly id: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly name: string;
  /** Number of the revision that is wanted, and its spec with sealed variables. */
  readonly revision: number;
  readonly spec: DeploymentSpec;
  /** The commit that its Git source stands for; empty until that is known, and without such a source. */
  readonly commit: string;
  /** Whether the wanted revision is built and has no image yet. */
  readonly imageMissing: boolean;
  /** What runs when all goes well: the goal that was reached last; empty when no revision ever came up. */
  readonly goal: readonly ServiceGoal[];
  /** Whether it was stopped on purpose. */
  readonly stopped: boolean;
  /** The newest revision that serves and the image of its first service; `null` when none does. */
  readonly serving: { readonly revision: number; readonly imageDigest: string | null } | null;
  readonly deleting: boolean;
  /** Hostnames at which it answers, oldest route first. */
  readonly hostnames: readonly string[];
  /** The newest operation. */
  readonly operation: OperationRecord;
  readonly replicas: readonly Replica[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Finds a deployment with its replicas. */
export async function findDeployment(db: Database, id: string): Promise<DeploymentRecord<ReplicaRecord> | undefined> {
  const snapshot = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only');
  return await snapshot.execute(async (tx) => {
    const rows = await selectDeployments(tx).where('deployments.id', '=', id).execute();
    const [deployment] = await complete(tx, rows, await listReplicas(tx, [id]));
    return deployment;
  });
}

/** Which deployments, and which page of them. */
export interface DeploymentsPage extends CreatedPage {
  readonly organizationId: string;
  /** Only of this project. */
  readonly projectId?: string | undefined;
  /** Only with this name. */
  readonly name?: string | undefined;
}

/** Lists the deployments of an organization, oldest first. */
export async function listDeployments(
  db: Database,
  { organizationId, projectId, name, limit, after }: DeploymentsPage,
): Promise<DeploymentRecord[]> {
  const snapshot = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only');
  return await snapshot.execute(async (tx) => {
    let query = selectDeployments(tx).where('deployments.organization_id', '=', organizationId);
    if (projectId !== undefined) query = query.where('deployments.project_id', '=', projectId);
    if (name !== undefined) query = query.where('deployments.name', '=', name);
    if (after !== undefined) query = query.where(isAfter('deployments', after));
    const rows = await query.orderBy('deployments.created_at').orderBy('deployments.id').limit(limit).execute();
    return await complete(tx, rows, await listReplicaStandings(tx, idsOf(rows)));
  });
}

type DeploymentRow = Awaited<ReturnType<ReturnType<typeof selectDeployments>['execute']>>[number];

function selectDeployments(db: Database) {
  return db
    .selectFrom('deployments')
    .innerJoin('revisions as wanted', (join) =>
      join.onRef('wanted.deployment_id', '=', 'deployments.id').onRef('wanted.number', '=', 'deployments.revision'),
    )
    .leftJoin('revision_sources as sources', (join) =>
      join
        .onRef('sources.deployment_id', '=', 'deployments.id')
        .onRef('sources.revision', '=', 'deployments.revision')
        .on('sources.service', '=', ONLY_SERVICE),
    )
    .select([
      'deployments.id',
      'deployments.organization_id as organizationId',
      'deployments.project_id as projectId',
      'deployments.name',
      'deployments.revision',
      'deployments.serving_revision as servingRevision',
      'deployments.stopped',
      'deployments.deleting',
      'deployments.created_at as createdAt',
      'deployments.updated_at as updatedAt',
      'wanted.spec',
      'sources.commit',
    ]);
}

async function complete<Replica extends ReplicaStanding>(
  db: Database,
  rows: readonly DeploymentRow[],
  replicas: ReadonlyMap<string, readonly Replica[]>,
): Promise<DeploymentRecord<Replica>[]> {
  const ids = idsOf(rows);
  const operations = await newestOperations(db, ids);
  const hostnames = await hostnamesOf(db, ids);
  const goals = await goalsOf(db, ids);
  const images = await imagesOf(db, ids);
  return rows.flatMap(({ servingRevision, commit, ...row }) => {
    const operation = operations.get(row.id);
    if (!operation) return [];
    const own = images.get(row.id) ?? [];
    const isPinned = (service: string): boolean =>
      own.some((image) => image.revision === row.revision && image.service === service);
    const imageMissing = servicesOf(row.spec).some(({ name, source }) => source.kind !== 'image' && !isPinned(name));
    const imageDigest = own.find((image) => image.revision === servingRevision)?.digest ?? null;
    const serving = servingRevision > 0 ? { revision: servingRevision, imageDigest } : null;
    const place = { hostnames: hostnames.get(row.id) ?? [], replicas: replicas.get(row.id) ?? [] };
    return [
      { ...row, ...place, commit: commit ?? '', goal: goals.get(row.id) ?? [], imageMissing, serving, operation },
    ];
  });
}

async function goalsOf(db: Database, deploymentIds: readonly string[]): Promise<Map<string, ServiceGoal[]>> {
  if (deploymentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('deployment_services')
    .select(['deployment_id', 'name', 'revision', 'replicas'])
    .where(isOneOf('deployment_id', deploymentIds))
    .orderBy('name')
    .execute();
  return grouped(rows, ({ deployment_id: _, ...goal }) => goal);
}

/** Images of the revisions that are wanted and that serve. */
async function imagesOf(db: Database, deploymentIds: readonly string[]): Promise<Map<string, PinnedImage[]>> {
  if (deploymentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('revision_images')
    .innerJoin('deployments', 'deployments.id', 'revision_images.deployment_id')
    .select(['revision_images.deployment_id', 'service', 'revision_images.revision', 'image_digest as digest'])
    .where(isOneOf('revision_images.deployment_id', deploymentIds))
    .where((eb) =>
      eb.or([
        eb('revision_images.revision', '=', eb.ref('deployments.revision')),
        eb('revision_images.revision', '=', eb.ref('deployments.serving_revision')),
      ]),
    )
    .orderBy('service')
    .execute();
  return grouped(rows, ({ deployment_id: _, ...image }) => image);
}

function grouped<Row extends { readonly deployment_id: string }, Value>(
  rows: readonly Row[],
  toValue: (row: Row) => Value,
): Map<string, Value[]> {
  const byDeployment = Map.groupBy(rows, (row) => row.deployment_id);
  return new Map([...byDeployment].map(([id, group]) => [id, group.map(toValue)]));
}

async function hostnamesOf(db: Database, deploymentIds: readonly string[]): Promise<Map<string, string[]>> {
  if (deploymentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('routes')
    .select(['deployment_id', 'hostname'])
    .where(isOneOf('deployment_id', deploymentIds))
    .orderBy('created_at')
    .orderBy('hostname')
    .execute();
  return grouped(rows, ({ hostname }) => hostname);
}

function idsOf(rows: readonly DeploymentRow[]): string[] {
  return rows.map((row) => row.id);
}

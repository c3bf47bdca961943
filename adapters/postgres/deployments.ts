import type { DeploymentSpec } from '../../domain/spec.ts';
import type { Database } from './database.ts';
import { newestOperations, type OperationRecord } from './operations.ts';
import { type CreatedPage, isAfter, isOneOf } from './page.ts';
import { listReplicaStandings, listReplicas, type ReplicaRecord, type ReplicaStanding } from './replicas.ts';

/** A deployment with what its status follows from. */
export interface DeploymentRecord<Replica = ReplicaStanding> {
  readonly id: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly name: string;
  /** Number of the revision that is wanted, and its spec with sealed variables. */
  readonly revision: number;
  readonly spec: DeploymentSpec;
  /** Whether the wanted revision comes from a Dockerfile and has no image yet. */
  readonly imageMissing: boolean;
  /** The revision that serves and how many replicas it wants; `null` when none does. */
  readonly serving: {
    readonly revision: number;
    readonly replicas: number;
    readonly imageDigest: string | null;
  } | null;
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
    .leftJoin('revisions as serving', (join) =>
      join
        .onRef('serving.deployment_id', '=', 'deployments.id')
        .onRef('serving.number', '=', 'deployments.serving_revision'),
    )
    .select([
      'deployments.id',
      'deployments.organization_id as organizationId',
      'deployments.project_id as projectId',
      'deployments.name',
      'deployments.revision',
      'deployments.deleting',
      'deployments.created_at as createdAt',
      'deployments.updated_at as updatedAt',
      'wanted.spec',
      'wanted.image_digest as wantedDigest',
      'serving.number as servingRevision',
      'serving.spec as servingSpec',
      'serving.image_digest as servingDigest',
    ]);
}

async function complete<Replica extends ReplicaStanding>(
  db: Database,
  rows: readonly DeploymentRow[],
  replicas: ReadonlyMap<string, readonly Replica[]>,
): Promise<DeploymentRecord<Replica>[]> {
  const operations = await newestOperations(db, idsOf(rows));
  const hostnames = await hostnamesOf(db, idsOf(rows));
  return rows.flatMap(({ wantedDigest, servingRevision, servingSpec, servingDigest, ...row }) => {
    const operation = operations.get(row.id);
    if (!operation) return [];
    const serving =
      servingRevision !== null && servingSpec !== null
        ? { revision: servingRevision, replicas: servingSpec.replicas, imageDigest: servingDigest }
        : null;
    const imageMissing = row.spec.source.kind === 'dockerfile' && wantedDigest === null;
    const place = { hostnames: hostnames.get(row.id) ?? [], replicas: replicas.get(row.id) ?? [] };
    return [{ ...row, ...place, imageMissing, serving, operation }];
  });
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
  const byDeployment = Map.groupBy(rows, (row) => row.deployment_id);
  return new Map([...byDeployment].map(([id, routes]) => [id, routes.map((route) => route.hostname)]));
}

function idsOf(rows: readonly DeploymentRow[]): string[] {
  return rows.map((row) => row.id);
}

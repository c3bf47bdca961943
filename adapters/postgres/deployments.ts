import type { SelectQueryBuilder } from 'kysely';
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres';
import { isUnread } from '../../domain/compose-origin.ts';
import type { ServiceGoal } from '../../domain/rollout-goal.ts';
import { type DeploymentSpec, ONLY_SERVICE, servicesOf } from '../../domain/spec.ts';
import type { Database } from './database.ts';
import { OPERATION_COLUMNS, type OperationRecord, toOperationRecord } from './operations.ts';
import { type CreatedPage, isAfter } from './page.ts';
import {
  REPLICA_COLUMNS,
  type ReplicaRecord,
  type ReplicaStanding,
  STANDING_COLUMNS,
  toReplicaRecord,
  toStanding,
} from './replicas.ts';
import type { Schema } from './schema.ts';

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

/** Finds a deployment with its replicas, as of one moment. */
export async function findDeployment(db: Database, id: string): Promise<DeploymentRecord<ReplicaRecord> | undefined> {
  const row = await selectDeployments(db)
    .select((eb) => jsonArrayFrom(inOrder(eb.selectFrom('replicas').select(REPLICA_COLUMNS))).as('replicas'))
    .where('deployments.id', '=', id)
    .executeTakeFirst();
  return row && toRecord({ ...row, replicas: row.replicas.map(toReplicaRecord) });
}

/** Which deployments, and which page of them. */
export interface DeploymentsPage extends CreatedPage {
  readonly organizationId: string;
  /** Only of this project. */
  readonly projectId?: string | undefined;
  /** Only with this name. */
  readonly name?: string | undefined;
}

/** Lists the deployments of an organization, oldest first, as of one moment. */
export async function listDeployments(
  db: Database,
  { organizationId, projectId, name, limit, after }: DeploymentsPage,
): Promise<DeploymentRecord[]> {
  const rows = await selectDeployments(db)
    .select((eb) => jsonArrayFrom(inOrder(eb.selectFrom('replicas').select(STANDING_COLUMNS))).as('replicas'))
    .where('deployments.organization_id', '=', organizationId)
    .$if(projectId !== undefined, (query) => query.where('deployments.project_id', '=', projectId ?? ''))
    .$if(name !== undefined, (query) => query.where('deployments.name', '=', name ?? ''))
    .$if(after !== undefined, (query) => (after ? query.where(isAfter('deployments', after)) : query))
    .orderBy('deployments.created_at')
    .orderBy('deployments.id')
    .limit(limit)
    .execute();
  return rows.flatMap((row) => toRecord({ ...row, replicas: row.replicas.map(toStanding) }) ?? []);
}

/** Replicas of the row's deployment, by revision and index. */
function inOrder<Output>(
  replicas: SelectQueryBuilder<Schema & { wanted: Schema['revisions'] }, 'replicas' | 'deployments', Output>,
) {
  return replicas.whereRef('replicas.deployment_id', '=', 'deployments.id').orderBy('revision').orderBy('index');
}

/** One statement, so that all of a row is as of one moment, and a row costs one way to the database. */
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
    ])
    .select((eb) => [
      jsonObjectFrom(
        eb
          .selectFrom('operations')
          .select(OPERATION_COLUMNS)
          .whereRef('operations.deployment_id', '=', 'deployments.id')
          .orderBy('sequence', 'desc')
          .limit(1),
      ).as('operation'),
      jsonArrayFrom(
        eb
          .selectFrom('routes')
          .select('hostname')
          .whereRef('routes.deployment_id', '=', 'deployments.id')
          .orderBy('created_at')
          .orderBy('hostname'),
      ).as('routes'),
      jsonArrayFrom(
        eb
          .selectFrom('deployment_services')
          .select(['deployment_services.name', 'deployment_services.revision', 'replicas'])
          .whereRef('deployment_services.deployment_id', '=', 'deployments.id')
          .orderBy('deployment_services.name'),
      ).as('goal'),
      jsonArrayFrom(
        eb
          .selectFrom('revision_images')
          .select(['service', 'revision_images.revision', 'image_digest as digest'])
          .whereRef('revision_images.deployment_id', '=', 'deployments.id')
          .where((image) =>
            image.or([
              image('revision_images.revision', '=', image.ref('deployments.revision')),
              image('revision_images.revision', '=', image.ref('deployments.serving_revision')),
            ]),
          )
          .orderBy('service'),
      ).as('images'),
    ]);
}

type DeploymentRow = Awaited<ReturnType<ReturnType<typeof selectDeployments>['executeTakeFirstOrThrow']>>;

function toRecord<Replica extends ReplicaStanding>({
  servingRevision,
  commit,
  operation,
  routes,
  images,
  ...row
}: DeploymentRow & { readonly replicas: readonly Replica[] }): DeploymentRecord<Replica> | undefined {
  if (!operation) return undefined;
  const isPinned = (service: string): boolean =>
    images.some((image) => image.revision === row.revision && image.service === service);
  const isToBuild = servicesOf(row.spec).some(({ name, source }) => source.kind !== 'image' && !isPinned(name));
  const imageDigest = images.find((image) => image.revision === servingRevision)?.digest ?? null;
  return {
    ...row,
    commit: commit ?? '',
    imageMissing: isToBuild || isUnread(row.spec),
    serving: servingRevision > 0 ? { revision: servingRevision, imageDigest } : null,
    hostnames: routes.map(({ hostname }) => hostname),
    operation: toOperationRecord(operation),
  };
}

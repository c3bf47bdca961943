import type { OperationKind, OperationState } from '../../domain/operation.ts';
import type { Database } from './database.ts';
import { isOneOf } from './page.ts';

/** One change of a deployment, as it was asked and as it stands. */
export interface OperationRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly deploymentId: string;
  readonly deploymentName: string;
  readonly requestHash: string;
  readonly kind: OperationKind;
  readonly state: OperationState;
  /** The revision that it makes; 0 for one that makes none. */
  readonly revision: number;
  readonly actorUserId: string;
  /** Why, in the words of whoever asked. */
  readonly reason: string;
  /** What a scale asks for; `null` for every other kind, like the next one. */
  readonly scaleService: string | null;
  readonly scaleReplicas: number | null;
  /** What it waits for a person for; empty when for nobody. */
  readonly waitsFor: string;
  readonly supersededBy: string | null;
  /** Empty unless it failed, like the next two. */
  readonly errorCode: string;
  readonly errorMessage: string;
  readonly errorHint: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

/** Finds an operation by the key under which it was asked for; outlives its deployment. */
export async function findOperationByKey(
  db: Database,
  { organizationId, idempotencyKey }: { readonly organizationId: string; readonly idempotencyKey: string },
): Promise<OperationRecord | undefined> {
  const row = await selectOperations(db)
    .where('organization_id', '=', organizationId)
    .where('idempotency_key', '=', idempotencyKey)
    .executeTakeFirst();
  return row && toRecord(row);
}

/** Finds an operation by its id; outlives its deployment. */
export async function findOperation(db: Database, id: string): Promise<OperationRecord | undefined> {
  const row = await selectOperations(db).where('id', '=', id).executeTakeFirst();
  return row && toRecord(row);
}

/** Finds operations by their ids. */
export async function findOperations(db: Database, ids: readonly string[]): Promise<Map<string, OperationRecord>> {
  if (ids.length === 0) return new Map();
  const rows = await selectOperations(db).where(isOneOf('id', ids)).execute();
  return new Map(rows.map((row) => [row.id, toRecord(row)]));
}

/** The newest operation of each of the deployments. */
export async function newestOperations(
  db: Database,
  deploymentIds: readonly string[],
): Promise<Map<string, OperationRecord>> {
  if (deploymentIds.length === 0) return new Map();
  const rows = await selectOperations(db)
    .distinctOn('deployment_id')
    .where(isOneOf('deployment_id', deploymentIds))
    .orderBy('deployment_id')
    .orderBy('sequence', 'desc')
    .execute();
  return new Map(rows.map((row) => [row.deploymentId, toRecord(row)]));
}

/** An operation with its place among all of them. */
export interface ListedOperation extends OperationRecord {
  readonly sequence: number;
}

/** Lists operations of a deployment, newest first; of deleted deployments as well. */
export async function listOperations(
  db: Database,
  wanted: { readonly deploymentId: string; readonly limit: number; readonly before?: number | undefined },
): Promise<ListedOperation[]> {
  const rows = await selectOperations(db)
    .select('sequence')
    .where('deployment_id', '=', wanted.deploymentId)
    .$if(wanted.before !== undefined, (query) => query.where('sequence', '<', wanted.before ?? 0))
    .orderBy('sequence', 'desc')
    .limit(wanted.limit)
    .execute();
  return rows.map((row) => ({ ...toRecord(row), sequence: row.sequence }));
}

function selectOperations(db: Database) {
  return db
    .selectFrom('operations')
    .select([
      'id',
      'organization_id as organizationId',
      'project_id as projectId',
      'deployment_id as deploymentId',
      'deployment_name as deploymentName',
      'request_hash as requestHash',
      'kind',
      'state',
      'revision',
      'actor_user_id as actorUserId',
      'reason',
      'scale_service as scaleService',
      'scale_replicas as scaleReplicas',
      'waits_for as waitsFor',
      'superseded_by as supersededBy',
      'error_code as errorCode',
      'error_message as errorMessage',
      'error_hint as errorHint',
      'created_at as createdAt',
      'started_at as startedAt',
      'finished_at as finishedAt',
    ]);
}

type Nullable = Pick<OperationRecord, 'errorCode' | 'errorMessage' | 'errorHint'>;

function toRecord(
  row: Omit<OperationRecord, keyof Nullable> & { [Key in keyof Nullable]: string | null },
): OperationRecord {
  const { errorCode, errorMessage, errorHint } = row;
  return { ...row, errorCode: errorCode ?? '', errorMessage: errorMessage ?? '', errorHint: errorHint ?? '' };
}

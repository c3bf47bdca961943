import type { OperationKind, OperationState } from '../../domain/operation.ts';
import { toTime } from './columns.ts';
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
  /** The node that a move leaves, and the one that it goes to; `null` for every other kind, and where any is meant. */
  readonly moveFrom: string | null;
  readonly moveTo: string | null;
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
  return row && toOperationRecord(row);
}

/** Finds an operation by its id; outlives its deployment. */
export async function findOperation(db: Database, id: string): Promise<OperationRecord | undefined> {
  const row = await selectOperations(db).where('id', '=', id).executeTakeFirst();
  return row && toOperationRecord(row);
}

/** Finds operations by their ids. */
export async function findOperations(db: Database, ids: readonly string[]): Promise<Map<string, OperationRecord>> {
  if (ids.length === 0) return new Map();
  const rows = await selectOperations(db).where(isOneOf('id', ids)).execute();
  return new Map(rows.map((row) => [row.id, toOperationRecord(row)]));
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
  return rows.map((row) => ({ ...toOperationRecord(row), sequence: row.sequence }));
}

/** The columns of an {@link OperationRecord}, of the table or of JSON. */
export const OPERATION_COLUMNS = [
  'operations.id',
  'operations.organization_id as organizationId',
  'operations.project_id as projectId',
  'operations.deployment_id as deploymentId',
  'operations.deployment_name as deploymentName',
  'operations.request_hash as requestHash',
  'operations.kind',
  'operations.state',
  'operations.revision',
  'operations.actor_user_id as actorUserId',
  'operations.reason',
  'operations.scale_service as scaleService',
  'operations.scale_replicas as scaleReplicas',
  'operations.move_from as moveFrom',
  'operations.move_to as moveTo',
  'operations.waits_for as waitsFor',
  'operations.superseded_by as supersededBy',
  'operations.error_code as errorCode',
  'operations.error_message as errorMessage',
  'operations.error_hint as errorHint',
  'operations.created_at as createdAt',
  'operations.started_at as startedAt',
  'operations.finished_at as finishedAt',
] as const;

function selectOperations(db: Database) {
  return db.selectFrom('operations').select(OPERATION_COLUMNS);
}

type Nullable = 'errorCode' | 'errorMessage' | 'errorHint';
type Times = 'createdAt' | 'startedAt' | 'finishedAt';

/** A row of a table, or of JSON, where times are text. */
type OperationRow = Omit<OperationRecord, Nullable | Times> & { readonly [Key in Nullable]: string | null } & {
  readonly [Key in Times]: OperationRecord[Key] | string;
};

/** Makes a record of a row. */
export function toOperationRecord({ errorCode, errorMessage, errorHint, ...row }: OperationRow): OperationRecord {
  return {
    ...row,
    createdAt: new Date(row.createdAt),
    startedAt: toTime(row.startedAt),
    finishedAt: toTime(row.finishedAt),
    errorCode: errorCode ?? '',
    errorMessage: errorMessage ?? '',
    errorHint: errorHint ?? '',
  };
}

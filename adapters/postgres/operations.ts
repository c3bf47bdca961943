import type { Database } from './database.ts';
import { isOneOf } from './page.ts';
import type { OperationKind, OperationState } from './schema.ts';

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
  /** The revision that it brings up; 0 for a removal. */
  readonly revision: number;
  /** Empty unless it failed, like the next two. */
  readonly errorCode: string;
  readonly errorMessage: string;
  readonly errorHint: string;
  readonly createdAt: Date;
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
      'error_code as errorCode',
      'error_message as errorMessage',
      'error_hint as errorHint',
      'created_at as createdAt',
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

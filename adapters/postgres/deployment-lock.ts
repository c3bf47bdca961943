import { sql } from 'kysely';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { Move } from '../../domain/move.ts';
import { OPEN_STATES, type OperationKind, type OperationState } from '../../domain/operation.ts';
import type { DeploymentSpec } from '../../domain/spec.ts';
import type { DatabaseTransaction } from './database.ts';

/** A deployment whose row this transaction holds. */
export interface LockedDeployment {
  readonly id: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly name: string;
  /** The newest revision; 0 while its first one is being stored. */
  readonly revision: number;
  /** The revision that was brought up last; 0 before any was. */
  readonly currentRevision: number;
  readonly stopped: boolean;
  /** Of its services that run; `null` where they were made before there were cohorts, and where there is one service. */
  readonly cohort: number | null;
  readonly deleting: boolean;
}

/** The columns of a {@link LockedDeployment}. */
export const LOCKED_COLUMNS = [
  'id',
  'organization_id as organizationId',
  'project_id as projectId',
  'name',
  'revision',
  'current_revision as currentRevision',
  'stopped',
  'cohort',
  'deleting',
] as const;

/**
 * Locks a deployment for the rest of the transaction; `undefined` when it does not exist.
 *
 * Everything that changes a deployment, its replicas, routes or events begins with this, and several of them are
 * locked in the order of their ids. So no two transactions wait for each other crosswise.
 */
export async function lockDeployment(tx: DatabaseTransaction, id: string): Promise<LockedDeployment | undefined> {
  return await tx
    .selectFrom('deployments')
    .select(LOCKED_COLUMNS)
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirst();
}

/** The same for a deployment that must be there. @throws DEPLOYMENT_DELETED */
export async function lockExisting(tx: DatabaseTransaction, id: string): Promise<LockedDeployment> {
  const deployment = await lockDeployment(tx, id);
  if (deployment) return deployment;
  throw new DomainError('DEPLOYMENT_DELETED', 'the deployment has been deleted');
}

/** An operation as it was asked for. */
export interface StoredOperation {
  readonly id: string;
  readonly kind: OperationKind;
  readonly state: OperationState;
  readonly revision: number;
  readonly scale: { readonly service: string; readonly replicas: number } | null;
  /** What a move is about; `null` for every other kind. */
  readonly move: Move | null;
  /** Services that it leaves as they run, and of which revision that is. Decided when it begins. */
  readonly kept: Readonly<Record<string, number>>;
  readonly sequence: number;
  /** The cohort that it begins, if it does. Decided when it begins. */
  readonly cohort: number | null;
}

/** Columns of {@link StoredOperation}, for {@link toStored}. */
export const STORED_COLUMNS = [
  ...(['id', 'kind', 'state', 'revision', 'sequence', 'cohort'] as const),
  ...(['scale_service', 'scale_replicas', 'kept_services as kept'] as const),
  ...(['move_from', 'move_to', 'move_replicas', 'move_volumes'] as const),
] as const;

type StoredRow = Omit<StoredOperation, 'scale' | 'move'> & {
  readonly scale_service: string | null;
  readonly scale_replicas: number | null;
  readonly move_from: string | null;
  readonly move_to: string | null;
  readonly move_replicas: number | null;
  readonly move_volumes: boolean;
};

/** An operation as it is stored, of its row. */
export function toStored(row: StoredRow): StoredOperation {
  const {
    scale_service: service,
    scale_replicas: replicas,
    move_from: from,
    move_to: to,
    move_replicas,
    move_volumes: volumes,
    ...rest
  } = row;
  return {
    ...rest,
    scale: service !== null && replicas !== null ? { service, replicas } : null,
    move: rest.kind === 'move' ? { from, to, replicas: move_replicas, volumes } : null,
  };
}

/** Reads an operation. @throws NOT_FOUND */
export async function getOperation(tx: DatabaseTransaction, operationId: string): Promise<StoredOperation> {
  const operation = await tx
    .selectFrom('operations')
    .select(STORED_COLUMNS)
    .where('id', '=', operationId)
    .executeTakeFirst();
  if (operation) return toStored(operation);
  throw notFound('operation');
}

/** Marks an operation as running, and reads it. @returns `undefined` when it is not queued: for a repeated call. */
export async function startOperation(
  tx: DatabaseTransaction,
  operationId: string,
): Promise<StoredOperation | undefined> {
  const started = await tx
    .updateTable('operations')
    .set((eb) => ({ state: 'running', started_at: eb.fn<Date>('now') }))
    .where('id', '=', operationId)
    .where('state', '=', 'queued')
    .returning(STORED_COLUMNS)
    .executeTakeFirst();
  return started && toStored(started);
}

/** How an operation ends. */
export type OperationEnd =
  | { readonly state: 'succeeded' | 'cancelled' }
  | { readonly state: 'superseded'; readonly superseded_by: string }
  | {
      readonly state: 'failed';
      readonly error_code: string;
      readonly error_message: string;
      readonly error_hint: string;
    };

/**
 * Ends an open operation.
 *
 * @returns whether this call did it: `false` when it had ended already, however it did.
 */
export async function endOperation(tx: DatabaseTransaction, operationId: string, end: OperationEnd): Promise<boolean> {
  const ended = await tx
    .updateTable('operations')
    .set({ ...end, waits_for: '' })
    .set((eb) => ({ finished_at: eb.fn<Date>('now') }))
    .where('id', '=', operationId)
    .where('state', 'in', OPEN_STATES)
    .returning('id')
    .executeTakeFirst();
  return ended !== undefined;
}

/** Specs that a transaction has read: a revision never changes. */
const specs = new WeakMap<DatabaseTransaction, Map<string, DeploymentSpec>>();

/** What a revision wants. @throws NOT_FOUND */
export async function getSpec(tx: DatabaseTransaction, deploymentId: string, number: number): Promise<DeploymentSpec> {
  const known = specs.get(tx) ?? new Map<string, DeploymentSpec>();
  specs.set(tx, known);
  const key = `${deploymentId} ${number}`;
  const spec = known.get(key) ?? (await readSpec(tx, deploymentId, number));
  known.set(key, spec);
  return spec;
}

/** Puts in what the repository of a revision says. */
export async function putSpec(
  tx: DatabaseTransaction,
  deploymentId: string,
  { number, spec }: { readonly number: number; readonly spec: DeploymentSpec },
): Promise<void> {
  await tx
    .updateTable('revisions')
    .set({ spec: JSON.stringify(spec) })
    .where('deployment_id', '=', deploymentId)
    .where('number', '=', number)
    .execute();
  specs.get(tx)?.set(`${deploymentId} ${number}`, spec);
}

async function readSpec(tx: DatabaseTransaction, deploymentId: string, number: number): Promise<DeploymentSpec> {
  const revision = await tx
    .selectFrom('revisions')
    .select('spec')
    .where('deployment_id', '=', deploymentId)
    .where('number', '=', number)
    .executeTakeFirst();
  if (!revision) throw notFound('revision');
  return revision.spec;
}

/** The generation that the ingress will have once this transaction is committed; the deferred triggers run now. */
export async function settleGeneration(tx: DatabaseTransaction): Promise<number> {
  await sql`SET CONSTRAINTS ALL IMMEDIATE`.execute(tx);
  const { generation } = await tx.selectFrom('ingress_generation').select('generation').executeTakeFirstOrThrow();
  return generation;
}

/** Whether a deployment has a route. */
export async function hasRoute(tx: DatabaseTransaction, deploymentId: string): Promise<boolean> {
  const route = await tx.selectFrom('routes').select('id').where('deployment_id', '=', deploymentId).executeTakeFirst();
  return route !== undefined;
}

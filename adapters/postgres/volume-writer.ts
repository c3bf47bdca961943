import { sql } from 'kysely';
import type { OperationEnding, VolumeWriter, WriterMeanwhile } from '../../contracts/volumes.ts';
import { OPEN_STATES, type OperationKind } from '../../domain/operation.ts';
import type { Database } from './database.ts';

/** What says whether a deployment shall run. */
const DECISIVE: readonly OperationKind[] = ['deploy', 'update', 'rollback', 'start', 'stop', 'remove'];

/** Finds which deployment writes a volume, and whether it stands still. */
export async function findWriter(db: Database, volumeId: string): Promise<VolumeWriter | null> {
  const writer = await db
    .selectFrom('volumes')
    .innerJoin('deployments', 'deployments.id', 'volumes.writer_deployment_id')
    .select(['deployments.id as deploymentId', 'stopped', 'current_revision as currentRevision'])
    .select((eb) => [
      eb
        .selectFrom('operations')
        .select(sql<number>`coalesce(max(sequence), 0)`.as('newest'))
        .whereRef('operations.deployment_id', '=', 'deployments.id')
        .as('sequence'),
      eb
        .exists(
          eb
            .selectFrom('operations')
            .select('operations.id')
            .whereRef('operations.deployment_id', '=', 'deployments.id')
            .where('operations.state', 'in', OPEN_STATES),
        )
        .as('isBusy'),
    ])
    .where('volumes.id', '=', volumeId)
    .executeTakeFirst();
  if (!writer) return null;
  const { deploymentId, stopped, currentRevision, isBusy, sequence } = writer;
  return { deploymentId, runs: Boolean(isBusy) || (!stopped && currentRevision > 0), sequence: Number(sequence) };
}

/** Reads how an operation ended; of one that is open, that it has not succeeded. */
export async function findEnd(db: Database, operationId: string): Promise<OperationEnding | null> {
  const operation = await db
    .selectFrom('operations')
    .select(['sequence', 'state', 'error_message as error'])
    .where('id', '=', operationId)
    .executeTakeFirst();
  if (!operation) return null;
  const { sequence, state, error } = operation;
  return { sequence, succeeded: state === 'succeeded', error: error ?? `the operation is ${state}` };
}

/** Says what became of a deployment that stood still as of an operation. */
export async function lookBack(
  db: Database,
  { deploymentId, sequence }: { readonly deploymentId: string; readonly sequence: number },
): Promise<WriterMeanwhile> {
  const since = await db
    .selectFrom('operations')
    .select(['kind', 'state', 'started_at as startedAt'])
    .where('deployment_id', '=', deploymentId)
    .where('sequence', '>', sequence)
    .execute();
  const deployment = await db
    .selectFrom('deployments')
    .select('stopped')
    .where('id', '=', deploymentId)
    .executeTakeFirst();
  const mayHaveStarted = since.some(
    ({ kind, startedAt }) => startedAt !== null && kind !== 'stop' && kind !== 'remove',
  );
  const isDecided = since.some(
    ({ kind, state }) => DECISIVE.includes(kind) && !['failed', 'cancelled'].includes(state),
  );
  return { stoodStill: !mayHaveStarted, isToStart: deployment?.stopped === true && !isDecided };
}

import { DomainError } from '../../domain/errors.ts';
import { describeNumbers } from '../../domain/number-ranges.ts';
import type { DatabaseTransaction } from './database.ts';
import type { LockedDeployment } from './deployment-lock.ts';

/**
 * Refuses a revision to return to that is not there, and says which are. The transaction holds the deployment's row, so
 * one that is there stays until it has been copied.
 *
 * @throws NOT_FOUND naming the field.
 */
export async function checkKept(tx: DatabaseTransaction, deployment: LockedDeployment, wanted: number): Promise<void> {
  const rows = await tx
    .selectFrom('revisions')
    .select('number')
    .where('deployment_id', '=', deployment.id)
    .orderBy('number')
    .execute();
  const kept = rows.map(({ number }) => number);
  if (kept.includes(wanted)) return;
  const finding = wanted <= deployment.revision ? 'it is not kept any more' : 'there is none of that number';
  throw new DomainError(
    'NOT_FOUND',
    `cannot roll back to revision ${wanted}: ${finding}; kept are ${describeNumbers(kept)}`,
    {
      field: 'to_revision',
      hint: 'Choose one of them, or deploy again what it was.',
    },
  );
}

import type { Subject } from '../../../domain/alerts/subject.ts';
import type { DatabaseTransaction } from '../database.ts';
import type { OpenAlert } from './store-changes.ts';

/** What was asked for, and what of it there still is. */
interface Asked {
  readonly open: readonly OpenAlert[];
  readonly subjects: readonly Subject[];
  readonly now: Date;
  readonly version: number;
}

/**
 * Ends alerts of subjects that do not exist any more: a deleted deployment, a removed node. That they do not is known
 * from the table itself, so it is no silence. @returns the number of the last transition.
 */
export async function resolveGone(tx: DatabaseTransaction, { open, subjects, now, version }: Asked): Promise<number> {
  const there = new Set(subjects.map(({ id }) => id));
  let newest = version;
  for (const { id, state, subject } of open) {
    if (there.has(subject)) continue;
    if (state === 'pending') {
      await tx.deleteFrom('alerts').where('id', '=', id).execute();
      continue;
    }
    newest += 1;
    await tx
      .updateTable('alerts')
      .set({ state: 'resolved', resolved_at: now, resolution: 'gone', version: newest })
      .where('id', '=', id)
      .execute();
  }
  return newest;
}

import type { RetentionScope } from '../../../contracts/retention.ts';
import type { Database } from '../database.ts';
import { createPass, type Pass } from './pass.ts';
import { addItems } from './runs.ts';
import { buildLogs } from './sweep-build-logs.ts';
import { contextRecords } from './sweep-context-records.ts';
import { deployments } from './sweep-deployments.ts';
import { mutationKeys } from './sweep-mutation-keys.ts';

/** One kind of thing in the control database that is gone through, a page at a time. */
export interface Sweep {
  /** Stable, since it is part of the place at which a run goes on. */
  readonly name: string;
  /**
   * Removes, or counts, what may go of the page after a place; `''` is the beginning.
   *
   * @returns the place at which it goes on; `null` at the end.
   */
  sweepPage(pass: Pass, after: string): Promise<string | null>;
}

/** All of them, in order: what only a revision that goes has named is found after it. Others may be added anywhere. */
export const SWEEPS: readonly Sweep[] = [deployments, buildLogs, contextRecords, mutationKeys];

/** Where a run is: the name of the sweep, and the place in it. */
const PLACE = /^([a-z-]+):(.*)$/s;

/** The place of a run that has gone through everything. */
const END = 'end';

/** How a page is gone through. */
export interface SweepOptions {
  readonly place: string;
  /** Called between steps, for signs of life; may throw to end it. */
  readonly onProgress?: () => void;
  readonly sweeps?: readonly Sweep[];
}

/**
 * Goes through one page, and says where it goes on; `null` at the end.
 *
 * Where the run stands is stored with what a dry run counted, so a page that is gone through again counts once.
 */
export async function sweepDatabase(
  db: Database,
  scope: RetentionScope,
  { place, onProgress = () => undefined, sweeps = SWEEPS }: SweepOptions,
): Promise<string | null> {
  const [, name = sweeps[0]?.name ?? '', after = ''] = PLACE.exec(place) ?? [];
  const index = sweeps.findIndex((sweep) => sweep.name === name);
  const pass = createPass(db, scope, onProgress);
  const next = (await sweeps[index]?.sweepPage(pass, after)) ?? null;
  const following = sweeps[index + 1]?.name;
  const goesOn = next === null ? following && `${following}:` : `${name}:${next}`;
  const isMoved = await db.transaction().execute(async (tx) => {
    const moved = await tx
      .updateTable('retention_runs')
      .set({ place: goesOn ?? END })
      .where('id', '=', scope.runId)
      .where('place', '=', place)
      .returning('id')
      .executeTakeFirst();
    if (moved) await addItems(tx, scope.runId, pass.counted);
    return moved !== undefined;
  });
  if (isMoved) return goesOn ?? null;
  const run = await db.selectFrom('retention_runs').select('place').where('id', '=', scope.runId).executeTakeFirst();
  return run === undefined || run.place === END ? null : run.place;
}

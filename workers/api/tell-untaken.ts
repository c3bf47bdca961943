import { setInterval } from 'node:timers/promises';
import type { Log } from '../../adapters/logging/log.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { listUntaken } from '../../adapters/postgres/take-operations.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';

/** How long an operation waits at most, whose API died, or had no Temporal, between storing it and telling of it. */
const LOOK_MS = 10_000;

/** What it needs. */
export interface TellingDeps {
  readonly db: Database;
  readonly workflows: Pick<WorkflowGateway, 'tellStored'>;
  readonly log: Log;
}

/**
 * Tells workflows of operations that are stored and that nobody could tell them of, until aborted. At once when an API
 * comes back, since it may have died of just that; several at a time do no harm.
 */
export async function tellUntaken(deps: TellingDeps, signal: AbortSignal): Promise<void> {
  try {
    await tellOnce(deps);
    for await (const _ of setInterval(LOOK_MS, undefined, { signal })) await tellOnce(deps);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Side by side: one whose workflow cannot be told does not hold up the others, and all of them take no longer than one. */
async function tellOnce({ db, workflows, log }: TellingDeps): Promise<void> {
  const untold = (err: unknown): void =>
    log.warn({ err }, 'operations wait, because their workflows cannot be told of them');
  const places = await listUntaken(db).catch((err: unknown) => {
    untold(err);
    return [];
  });
  await Promise.all(places.map((place) => workflows.tellStored(place).catch(untold)));
}

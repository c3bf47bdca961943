import { sql } from 'kysely';
import { isDomainError } from '../../../domain/errors.ts';
import type { Database } from '../database.ts';
import type { Pass } from './pass.ts';
import { pruneHistory } from './prune-history.ts';
import { pruneRevisions } from './prune-revisions.ts';
import type { Sweep } from './sweeps.ts';

/** Deployments of one page: seconds of work, however much each has. */
const PAGE = 50;

/** Sorts before every id. */
const FIRST = '00000000-0000-0000-0000-000000000000';

/** Revisions, builds, operations and events, one deployment after the other; deleted ones have history too. */
export const deployments: Sweep = {
  name: 'deployments',
  sweepPage: async (pass, after) => {
    const ids = await listDeployments(pass.db, after || FIRST);
    for (const id of ids) await prune(pass, id);
    return ids.length < PAGE ? null : (ids.at(-1) ?? null);
  },
};

/** What cannot be done for one deployment is told, and done for the others. */
async function prune(pass: Pass, deploymentId: string): Promise<void> {
  try {
    await pruneHistory(pass, await pruneRevisions(pass, deploymentId));
  } catch (error) {
    if (isDomainError(error) || !isRefusal(error)) throw error;
    await pass.step(async (_, count) => count('deployments', { count: 1, bytes: null, reason: refusalOf(error) }));
  }
}

/** Whether the database refused a statement, which it would do again. */
function isRefusal(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}

function refusalOf({ code }: { readonly code: string }): string {
  return `the database refused to remove something of it (SQLSTATE ${code})`;
}

/**
 * The next ids after one, of deployments that have operations or events. Goes from id to id by the index, however many
 * rows each has.
 */
async function listDeployments(db: Database, after: string): Promise<string[]> {
  const [ofOperations, ofEvents] = [
    await nextIds(db, 'operations', after),
    await nextIds(db, 'deployment_events', after),
  ];
  return [...new Set([...ofOperations, ...ofEvents])].sort().slice(0, PAGE);
}

async function nextIds(db: Database, table: 'operations' | 'deployment_events', after: string): Promise<string[]> {
  const next = (than: ReturnType<typeof sql>) =>
    sql`SELECT deployment_id FROM ${sql.table(table)} WHERE deployment_id > ${than} ORDER BY deployment_id LIMIT 1`;
  const { rows } = await sql<{ id: string }>`
    WITH RECURSIVE ids AS (
      (${next(sql`${after}::uuid`)})
      UNION ALL
      SELECT (${next(sql`ids.deployment_id`)}) FROM ids WHERE ids.deployment_id IS NOT NULL
    )
    SELECT deployment_id AS id FROM ids WHERE deployment_id IS NOT NULL LIMIT ${PAGE}`.execute(db);
  return rows.map(({ id }) => id);
}

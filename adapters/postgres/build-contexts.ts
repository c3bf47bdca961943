import { type SqlBool, sql } from 'kysely';
import type { Database } from './database.ts';

/** A build context that an organization has uploaded. */
export interface BuildContextRecord {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly entries: number;
}

/** Records an uploaded context; a second time renews it, since the content is the same by its hash. */
export async function recordBuildContext(
  db: Database,
  { organizationId, sha256, sizeBytes, entries }: BuildContextRecord & { readonly organizationId: string },
): Promise<void> {
  await db
    .insertInto('build_contexts')
    .values({ organization_id: organizationId, sha256, size_bytes: sizeBytes, entries })
    .onConflict((conflict) =>
      conflict.columns(['organization_id', 'sha256']).doUpdateSet({ last_used_at: sql<Date>`now()` }),
    )
    .execute();
}

/**
 * Finds a context of this organization for a deploy, and renews it, so that it is there when its build begins. Another
 * organization's with the same content does not count.
 */
export async function renewBuildContext(
  db: Database,
  { organizationId, sha256 }: { readonly organizationId: string; readonly sha256: string },
): Promise<BuildContextRecord | undefined> {
  return await db
    .updateTable('build_contexts')
    .set({ last_used_at: sql<Date>`now()` })
    .where('organization_id', '=', organizationId)
    .where('sha256', '=', sha256)
    .returning(['sha256', 'size_bytes as sizeBytes', 'entries'])
    .executeTakeFirst();
}

/** Whether a node may read a context: it builds a service of a revision from it. */
export async function mayReadContext(
  db: Database,
  { nodeId, deploymentId, sha256 }: { readonly nodeId: string; readonly deploymentId: string; readonly sha256: string },
): Promise<boolean> {
  const source = { contextSha256: sha256 };
  const held = await db
    .selectFrom('builds')
    .innerJoin('revisions', (join) =>
      join
        .onRef('revisions.deployment_id', '=', 'builds.deployment_id')
        .onRef('revisions.number', '=', 'builds.revision'),
    )
    .select('builds.service')
    .where('builds.deployment_id', '=', deploymentId)
    .where('builds.node_id', '=', nodeId)
    .where((eb) => eb.or([isMadeFrom({ source }), isMadeFrom({ services: [{ source }] })]))
    .executeTakeFirst();
  return held !== undefined;
}

function isMadeFrom(part: object) {
  return sql<SqlBool>`revisions.spec @> ${JSON.stringify(part)}::jsonb`;
}

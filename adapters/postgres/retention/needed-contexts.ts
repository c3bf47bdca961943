import { type SqlBool, sql } from 'kysely';
import type { RetentionScope } from '../../../contracts/retention.ts';
import type { Database } from '../database.ts';
import { isOneOf, isOneOfTexts } from '../page.ts';
import { staying } from './staying.ts';

/** A context that an organization has uploaded. */
export interface ContextKey {
  readonly organizationId: string;
  readonly sha256: string;
}

/** Says of these contexts which are named by a revision of their organization that stays, as `organization sha256`. */
export async function findNamedContexts(
  db: Database,
  scope: Pick<RetentionScope, 'isDryRun' | 'policy'>,
  contexts: readonly ContextKey[],
): Promise<Set<string>> {
  if (contexts.length === 0) return new Set();
  const organizations = [...new Set(contexts.map(({ organizationId }) => organizationId))];
  const hashes = [...new Set(contexts.map(({ sha256 }) => sha256))];
  const naming = await db
    .selectFrom('revisions')
    .innerJoin('deployments', 'deployments.id', 'revisions.deployment_id')
    .innerJoinLateral(contextsOf('revisions.spec'), (join) => join.onTrue())
    .select(['deployments.organization_id as organizationId', 'named.sha256'])
    .select(['revisions.deployment_id as deploymentId', 'revisions.number as revision'])
    .where(isOneOf('deployments.organization_id', organizations))
    .where(isOneOfTexts('named.sha256', hashes))
    .execute();
  const stays = await staying(db, scope, naming);
  return new Set(stays.map(({ organizationId, sha256 }) => `${organizationId} ${sha256}`));
}

/**
 * Which of these contexts are still recorded, so that their files are needed. Of a dry run: as it will be once what may
 * go has gone.
 */
export async function findNeededContexts(
  db: Database,
  scope: Pick<RetentionScope, 'isDryRun' | 'policy'>,
  hashes: readonly string[],
): Promise<Set<string>> {
  if (hashes.length === 0) return new Set();
  const recorded = await db
    .selectFrom('build_contexts')
    .select(['organization_id as organizationId', 'sha256'])
    .select(isIdle(scope).as('isIdle'))
    .where(isOneOfTexts('sha256', hashes))
    .execute();
  if (!scope.isDryRun) return new Set(recorded.map(({ sha256 }) => sha256));
  const named = await findNamedContexts(
    db,
    scope,
    recorded.filter(({ isIdle: idle }) => idle),
  );
  const stays = recorded.filter((one) => !one.isIdle || named.has(`${one.organizationId} ${one.sha256}`));
  return new Set(stays.map(({ sha256 }) => sha256));
}

/** Whether a recorded context was not uploaded or asked for during the time that one may stay unnamed. */
export function isIdle({ policy }: Pick<RetentionScope, 'policy'>) {
  return sql<SqlBool>`build_contexts.last_used_at < now() - ${policy.contextsMs} * interval '1 millisecond'`;
}

/** Wherever in a spec a context is named: of the deployment itself, or of one of its services. */
function contextsOf(spec: string) {
  return sql<{ sha256: string }>`(
    SELECT context #>> '{}' AS sha256 FROM jsonb_path_query(${sql.ref(spec)}, '$.**.contextSha256') AS context
  )`.as<'named'>(sql`named`);
}

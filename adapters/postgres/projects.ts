import { randomUUID } from 'node:crypto';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { isForeignKeyViolation } from './errors.ts';
import { claimMutation, type Mutation, nameTaken } from './mutation-keys.ts';
import { type CreatedPage, isAfter } from './page.ts';

/** A project. */
export interface ProjectRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly createdAt: Date;
}

const COLUMNS = [
  'projects.id',
  'projects.organization_id as organizationId',
  'projects.name',
  'projects.created_at as createdAt',
] as const;

/**
 * Creates a project.
 *
 * @throws NAME_TAKEN, IDEMPOTENCY_CONFLICT; NOT_FOUND when a repeated call finds its project deleted.
 */
export async function createProject(
  db: Database,
  { organizationId, name, ...mutation }: Mutation & { readonly organizationId: string; readonly name: string },
): Promise<ProjectRecord> {
  return await db.transaction().execute(async (tx) => {
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: randomUUID() });
    const id = claim.resourceId;
    if (claim.isFirst) {
      const created = await tx
        .insertInto('projects')
        .values({ id, organization_id: organizationId, name })
        .onConflict((conflict) => conflict.columns(['organization_id', 'name']).doNothing())
        .returning('id')
        .executeTakeFirst();
      if (!created) throw nameTaken(name, 'the organization');
    }
    const project = await findProject(tx, id);
    if (!project) throw notFound('project');
    return project;
  });
}

/** Finds one project. */
export async function findProject(db: Database, id: string): Promise<ProjectRecord | undefined> {
  return await db.selectFrom('projects').select(COLUMNS).where('id', '=', id).executeTakeFirst();
}

/** Lists the projects of an organization, oldest first. */
export async function listProjects(
  db: Database,
  { organizationId, limit, after }: CreatedPage & { readonly organizationId: string },
): Promise<ProjectRecord[]> {
  return await db
    .selectFrom('projects')
    .select(COLUMNS)
    .where('organization_id', '=', organizationId)
    .$if(after !== undefined, (query) => (after ? query.where(isAfter('projects', after)) : query))
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/**
 * Deletes a project that has no deployments. A repeated call finds it deleted and succeeds.
 *
 * @throws PROJECT_NOT_EMPTY, NOT_FOUND, IDEMPOTENCY_CONFLICT.
 */
export async function deleteProject(
  db: Database,
  {
    organizationId,
    projectId,
    ...mutation
  }: Mutation & { readonly organizationId: string; readonly projectId: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { isFirst } = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: projectId });
    if (!isFirst) return;
    const deleted = await deleteIfEmpty(tx, { organizationId, projectId });
    if (!deleted) throw notFound('project');
  });
}

async function deleteIfEmpty(
  tx: DatabaseTransaction,
  { organizationId, projectId }: { organizationId: string; projectId: string },
): Promise<boolean> {
  try {
    const { numDeletedRows } = await tx
      .deleteFrom('projects')
      .where('id', '=', projectId)
      .where('organization_id', '=', organizationId)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  } catch (error) {
    if (!isForeignKeyViolation(error)) throw error;
    throw new DomainError('PROJECT_NOT_EMPTY', 'cannot delete the project: it has deployments or volumes', {
      hint: 'Delete its deployments and volumes first.',
    });
  }
}

import { OPEN_STATES } from '../../../domain/operation.ts';
import type { RevisionFacts } from '../../../domain/retention/revisions.ts';
import type { Database } from '../database.ts';
import { isOneOf } from '../page.ts';

/** What decides about the revisions of a deployment, and which operation made each of them. */
export interface DeploymentFacts extends RevisionFacts {
  readonly madeBy: ReadonlyMap<number, string>;
}

/** Reads the facts of deployments; those that do not exist are left out. */
export async function readFacts(db: Database, ids: readonly string[]): Promise<Map<string, DeploymentFacts>> {
  if (ids.length === 0) return new Map();
  const deployments = await db
    .selectFrom('deployments')
    .select(['id', 'current_revision as current', 'serving_revision as serving', 'canary_revision as canary'])
    .where(isOneOf('id', ids))
    .execute();
  const revisions = await db
    .selectFrom('revisions')
    .select(['deployment_id', 'number as revision', 'operation_id'])
    .where(isOneOf('deployment_id', ids))
    .execute();
  const [existing, goal, running] = [
    grouped(revisions),
    grouped(await selectGoals(db, ids).execute()),
    grouped(await selectRunning(db, ids).execute()),
  ];
  const [open, cameUp] = [grouped(await selectOpen(db, ids).execute()), grouped(await selectCameUp(db, ids).execute())];
  const of = (map: ReadonlyMap<string, number[]>, id: string): number[] => map.get(id) ?? [];
  return new Map(
    deployments.map(({ id, ...deployment }) => {
      const own = revisions.filter((row) => row.deployment_id === id);
      const madeBy = new Map(own.map(({ revision, operation_id }) => [revision, operation_id]));
      const lists = { existing: of(existing, id), goal: of(goal, id), running: of(running, id) };
      return [id, { ...deployment, ...lists, open: of(open, id), cameUp: of(cameUp, id), madeBy }];
    }),
  );
}

function selectGoals(db: Database, ids: readonly string[]) {
  return db
    .selectFrom('deployment_services')
    .select(['deployment_id', 'revision'])
    .where(isOneOf('deployment_id', ids));
}

function selectRunning(db: Database, ids: readonly string[]) {
  return db
    .selectFrom('replicas')
    .select(['deployment_id', 'revision'])
    .distinct()
    .where(isOneOf('deployment_id', ids));
}

function selectOpen(db: Database, ids: readonly string[]) {
  return db
    .selectFrom('operations')
    .select(['deployment_id', 'revision'])
    .where(isOneOf('deployment_id', ids))
    .where('state', 'in', OPEN_STATES)
    .where('revision', '>', 0);
}

/** An operation that made a revision which exists is never forgotten, so nothing that came up is overlooked. */
function selectCameUp(db: Database, ids: readonly string[]) {
  return db
    .selectFrom('revisions')
    .innerJoin('operations', 'operations.id', 'revisions.operation_id')
    .select(['revisions.deployment_id', 'revisions.number as revision'])
    .where(isOneOf('revisions.deployment_id', ids))
    .where('operations.state', '=', 'succeeded');
}

function grouped(rows: readonly { readonly deployment_id: string; readonly revision: number }[]) {
  const byDeployment = Map.groupBy(rows, (row) => row.deployment_id);
  return new Map([...byDeployment].map(([id, group]) => [id, group.map(({ revision }) => revision)]));
}

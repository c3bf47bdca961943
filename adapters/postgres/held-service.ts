import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import { type ServiceSpec, servicesOf } from '../../domain/spec.ts';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';

/** Which service of which revision a node asks about. */
export interface HeldServiceRef {
  readonly deploymentId: string;
  readonly revision: number;
  readonly service: string;
  readonly nodeId: string;
}

/** A service that a node runs or builds, and whose it is. */
export interface HeldService {
  readonly organizationId: string;
  readonly service: ServiceSpec;
}

/**
 * Finds a service for a node; `undefined` unless that node holds a replica of it, of that revision, or was chosen to
 * build its image: who builds must know the variables, so that none of their values gets into the log.
 */
export async function findHeldService(db: Database, held: HeldServiceRef): Promise<HeldService | undefined> {
  const { nodeId, service } = held;
  return await find(db, held, (eb) =>
    eb.or([
      eb.exists(
        eb
          .selectFrom('replicas')
          .select('replicas.replica_id')
          .whereRef('replicas.deployment_id', '=', 'revisions.deployment_id')
          .whereRef('replicas.revision', '=', 'revisions.number')
          .where('replicas.service', '=', service)
          .where('replicas.node_id', '=', nodeId),
      ),
      eb.exists(buildsOn(eb, held)),
    ]),
  );
}

/** Finds a service for the node that builds its image; `undefined` unless that node is chosen for it. */
export async function findBuiltService(db: Database, held: HeldServiceRef): Promise<HeldService | undefined> {
  return await find(db, held, (eb) => eb.exists(buildsOn(eb, held)));
}

/** Finds a service for the node that builds its image just now, while the operation that wants it is open. */
export async function findBuildingService(db: Database, held: HeldServiceRef): Promise<HeldService | undefined> {
  return await find(db, held, (eb) =>
    eb.exists(
      buildsOn(eb, held)
        .innerJoin('operations', 'operations.deployment_id', 'builds.deployment_id')
        .where('builds.finished_at', 'is', null)
        .where('operations.state', 'in', ['running', 'waiting']),
    ),
  );
}

type Tables = ExpressionBuilder<Schema, 'revisions' | 'deployments'>;

function buildsOn(eb: Tables, { nodeId, service }: HeldServiceRef) {
  return eb
    .selectFrom('builds')
    .select('builds.service')
    .whereRef('builds.deployment_id', '=', 'revisions.deployment_id')
    .whereRef('builds.revision', '=', 'revisions.number')
    .where('builds.service', '=', service)
    .where('builds.node_id', '=', nodeId);
}

async function find(
  db: Database,
  { deploymentId, revision, service: name }: HeldServiceRef,
  isHeld: (eb: Tables) => Expression<SqlBool>,
): Promise<HeldService | undefined> {
  const found = await db
    .selectFrom('revisions')
    .innerJoin('deployments', 'deployments.id', 'revisions.deployment_id')
    .select(['deployments.organization_id as organizationId', 'revisions.spec'])
    .where('revisions.deployment_id', '=', deploymentId)
    .where('revisions.number', '=', revision)
    .where(isHeld)
    .executeTakeFirst();
  const service = found && servicesOf(found.spec).find((one) => one.name === name);
  return found && service && { organizationId: found.organizationId, service };
}

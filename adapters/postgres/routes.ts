import { randomUUID } from 'node:crypto';
import { DomainError } from '../../domain/errors.ts';
import type { IngressSnapshot, Upstream } from '../../domain/routing.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import type { LockedDeployment } from './deployment-lock.ts';
import { listReplicas, type ReplicaRecord } from './replicas.ts';

/** A hostname and the deployment that answers at it. */
export interface RouteRecord {
  readonly id: string;
  readonly hostname: string;
  readonly deploymentId: string;
  /** The revision that serves; 0 when none does yet. */
  readonly revision: number;
  readonly upstreams: readonly Upstream[];
  readonly createdAt: Date;
}

/** Lists the routes of an organization, by hostname. */
export async function listRoutes(
  db: Database,
  wanted: { readonly organizationId: string; readonly limit: number; readonly afterHostname?: string | undefined },
): Promise<RouteRecord[]> {
  return await readSnapshot(db, async (tx) => {
    const routes = await selectRoutes(tx)
      .where('routes.organization_id', '=', wanted.organizationId)
      .$if(wanted.afterHostname !== undefined, (query) =>
        query.where('routes.hostname', '>', wanted.afterHostname ?? ''),
      )
      .orderBy('routes.hostname')
      .limit(wanted.limit)
      .execute();
    const replicas = await listReplicas(tx, [...new Set(routes.map((route) => route.deploymentId))]);
    return routes.map(({ canaryRevision: _, canaryWeightPercent: __, ...route }) => {
      return { ...route, upstreams: upstreamsOf(replicas.get(route.deploymentId) ?? []) };
    });
  });
}

/** Reads everything that the ingress serves, and its generation, as of one moment. Routes by id. */
export async function readIngressSnapshot(db: Database): Promise<IngressSnapshot> {
  return await readSnapshot(db, async (tx) => {
    const { generation } = await tx.selectFrom('ingress_generation').select('generation').executeTakeFirstOrThrow();
    const routes = await selectRoutes(tx).orderBy('routes.id').execute();
    const replicas = await listReplicas(tx, [...new Set(routes.map((route) => route.deploymentId))]);
    return {
      generation,
      routes: routes.map(({ id, hostname, deploymentId, canaryRevision, canaryWeightPercent }) => {
        const own = replicas.get(deploymentId) ?? [];
        const isOnTrial = ({ revision }: ReplicaRecord): boolean => revision === canaryRevision;
        const canary =
          canaryRevision === null || canaryWeightPercent === null
            ? null
            : {
                revision: canaryRevision,
                weightPercent: canaryWeightPercent,
                upstreams: upstreamsOf(own.filter(isOnTrial)),
              };
        const upstreams = upstreamsOf(canary ? own.filter((replica) => !isOnTrial(replica)) : own);
        return { id, hostname, deploymentId, upstreams, canary };
      }),
    };
  });
}

function readSnapshot<Result>(db: Database, read: (tx: Database) => Promise<Result>): Promise<Result> {
  return db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(read);
}

function selectRoutes(db: Database) {
  return db
    .selectFrom('routes')
    .innerJoin('deployments', 'deployments.id', 'routes.deployment_id')
    .select([
      'routes.id',
      'routes.hostname',
      'routes.deployment_id as deploymentId',
      'deployments.serving_revision as revision',
      'routes.created_at as createdAt',
      'deployments.canary_revision as canaryRevision',
      'deployments.canary_weight_percent as canaryWeightPercent',
    ]);
}

/** Unhealthy replicas get requests only while no healthy one is left: a wrong verdict on all must not close a site. */
function upstreamsOf(replicas: readonly ReplicaRecord[]): Upstream[] {
  const serving = replicas.filter((replica) => replica.serving && replica.state !== 'exited');
  const healthy = serving.filter((replica) => replica.state === 'healthy');
  return (healthy.length > 0 ? healthy : serving).flatMap((replica) => replica.address ?? []);
}

/** Gives the deployment its hostname, unless it has one. Of two with one name the second gets a part of its id in it. */
export async function ensureRoute(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  domain: string,
): Promise<void> {
  const { id, organizationId, name } = deployment;
  const existing = await tx.selectFrom('routes').select('id').where('deployment_id', '=', id).executeTakeFirst();
  if (existing) return;
  for (const label of [name, `${name.slice(0, 56)}-${id.slice(0, 6)}`, `app-${id.replaceAll('-', '')}`]) {
    const created = await tx
      .insertInto('routes')
      .values({
        id: randomUUID(),
        organization_id: organizationId,
        deployment_id: id,
        hostname: `${label}.${domain}`,
      })
      .onConflict((conflict) => conflict.column('hostname').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (created) return;
  }
  throw new DomainError('INTERNAL', `every hostname for deployment ${id} is taken`);
}

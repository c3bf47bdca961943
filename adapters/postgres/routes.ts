import { randomUUID } from 'node:crypto';
import { DomainError } from '../../domain/errors.ts';
import type { IngressSnapshot, Upstream } from '../../domain/routing.ts';
import type { ServiceSpec } from '../../domain/spec.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import type { LockedDeployment } from './deployment-lock.ts';
import { isOneOfTexts } from './page.ts';
import { listReplicas, type ReplicaRecord } from './replicas.ts';

/** A hostname and the deployment that answers at it. */
export interface RouteRecord {
  readonly id: string;
  readonly hostname: string;
  readonly deploymentId: string;
  /** The service that answers. */
  readonly service: string;
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
    const lost = await readLostNodes(tx);
    return routes.map(({ canaryRevision: _, canaryWeightPercent: __, ...route }) => {
      return { ...route, upstreams: upstreamsOf(replicasOf(route, replicas), lost) };
    });
  });
}

/** Reads everything that the ingress serves, and its generation, as of one moment. Routes by id. */
export async function readIngressSnapshot(db: Database): Promise<IngressSnapshot> {
  return await readSnapshot(db, async (tx) => {
    const { generation } = await tx.selectFrom('ingress_generation').select('generation').executeTakeFirstOrThrow();
    const routes = await selectRoutes(tx).orderBy('routes.id').execute();
    const replicas = await listReplicas(tx, [...new Set(routes.map((route) => route.deploymentId))]);
    const lost = await readLostNodes(tx);
    return {
      generation,
      routes: routes.map(({ id, hostname, deploymentId, service, canaryRevision, canaryWeightPercent }) => {
        const own = replicasOf({ deploymentId, service }, replicas);
        const isOnTrial = ({ revision }: ReplicaRecord): boolean => revision === canaryRevision;
        const canary =
          canaryRevision === null || canaryWeightPercent === null
            ? null
            : {
                revision: canaryRevision,
                weightPercent: canaryWeightPercent,
                upstreams: upstreamsOf(own.filter(isOnTrial), lost),
              };
        const upstreams = upstreamsOf(canary ? own.filter((replica) => !isOnTrial(replica)) : own, lost);
        return { id, hostname, deploymentId, service, upstreams, canary };
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
      'routes.service',
      'deployments.serving_revision as revision',
      'routes.created_at as createdAt',
      'deployments.canary_revision as canaryRevision',
      'deployments.canary_weight_percent as canaryWeightPercent',
    ]);
}

function replicasOf(
  { deploymentId, service }: Pick<RouteRecord, 'deploymentId' | 'service'>,
  replicas: ReadonlyMap<string, readonly ReplicaRecord[]>,
): readonly ReplicaRecord[] {
  return (replicas.get(deploymentId) ?? []).filter((replica) => replica.service === service);
}

async function readLostNodes(db: Database): Promise<ReadonlySet<string>> {
  const lost = await db.selectFrom('nodes').select('id').where('state', '=', 'lost').execute();
  return new Set(lost.map(({ id }) => id));
}

/**
 * Replicas of lost nodes, and unhealthy ones, get requests only while no others are left: a wrong verdict on all must not
 * close a site.
 */
function upstreamsOf(replicas: readonly ReplicaRecord[], lost: ReadonlySet<string>): Upstream[] {
  const serving = replicas.filter((replica) => replica.serving && replica.state !== 'exited');
  const present = serving.filter(({ nodeId }) => !lost.has(nodeId));
  const reachable = present.length > 0 ? present : serving;
  const healthy = reachable.filter((replica) => replica.state === 'healthy');
  return (healthy.length > 0 ? healthy : reachable).flatMap((replica) => replica.address ?? []);
}

/**
 * Gives every service that listens a hostname, unless it has one: the first the deployment's name, the others their own
 * in front of it. Of two deployments with one name the second gets a part of its id in it.
 */
export async function ensureRoutes(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { services, domain }: { readonly services: readonly ServiceSpec[]; readonly domain: string },
): Promise<void> {
  const named = new Set(deployment.revision === 0 ? [] : await routedServices(tx, deployment.id));
  for (const { name: service, port } of services) {
    if (port === null || named.has(service)) continue;
    await createRoute(tx, deployment, {
      service,
      labels: labelsFor(deployment, named.size === 0 ? null : service),
      domain,
    });
    named.add(service);
  }
}

async function routedServices(tx: DatabaseTransaction, deploymentId: string): Promise<string[]> {
  const routes = await tx.selectFrom('routes').select('service').where('deployment_id', '=', deploymentId).execute();
  return routes.map(({ service }) => service);
}

/** Labels to try, one after the other; the last one nobody else can have. 63 characters at most. */
function labelsFor({ id, name }: LockedDeployment, service: string | null): readonly string[] {
  const front = service === null ? '' : `${service}-`;
  const whole = `${front}${name}`;
  const digits = id.replaceAll('-', '');
  return [
    ...(whole.length <= 63 ? [whole] : []),
    `${front}${name.slice(0, Math.max(0, 56 - front.length))}-${id.slice(0, 6)}`,
    service === null ? `app-${digits}` : `${front}${digits.slice(0, 22)}`,
  ];
}

async function createRoute(
  tx: DatabaseTransaction,
  { id, organizationId }: LockedDeployment,
  {
    service,
    labels,
    domain,
  }: { readonly service: string; readonly labels: readonly string[]; readonly domain: string },
): Promise<void> {
  for (const label of labels) {
    const created = await tx
      .insertInto('routes')
      .values({
        id: randomUUID(),
        organization_id: organizationId,
        deployment_id: id,
        service,
        hostname: `${label}.${domain}`,
      })
      .onConflict((conflict) => conflict.column('hostname').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (created) return;
  }
  throw new DomainError('INTERNAL', `every hostname for ${service} of deployment ${id} is taken`);
}

/** Takes the hostnames of all services but these away. */
export async function deleteOtherRoutes(
  tx: DatabaseTransaction,
  deploymentId: string,
  services: readonly string[],
): Promise<void> {
  await tx
    .deleteFrom('routes')
    .where('deployment_id', '=', deploymentId)
    .where((eb) => eb.not(isOneOfTexts('service', services)))
    .execute();
}

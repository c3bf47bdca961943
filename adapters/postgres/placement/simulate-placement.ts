import { notFound } from '../../../domain/errors.ts';
import {
  type ClusterModel,
  createClusterModel,
  type Demand,
  type Outcome,
} from '../../../domain/placement/cluster-model.ts';
import type { PlacementRules } from '../../../domain/placement/placement.ts';
import { ANYWHERE } from '../../../domain/placement/policy.ts';
import { type DeploymentSpec, isCompose, type ServiceSpec, servicesOf } from '../../../domain/spec.ts';
import { volumeNames } from '../../../domain/volumes.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { getSpec, LOCKED_COLUMNS, type LockedDeployment } from '../deployment-lock.ts';
import { mayBeginEmpty } from '../left-volumes.ts';
import { isOneOfTexts } from '../page.ts';
import { inSnapshot, readModelNodes, readModelReplicas } from './cluster-snapshot.ts';

/** What would become of one deployment. */
export interface Simulated {
  readonly deploymentId: string;
  readonly name: string;
  /** `null`: all of its services as one. */
  readonly service: string | null;
  readonly outcome: Outcome;
}

/** Replicas of a node that one simulation looks at; a host runs some hundreds. */
const MOST_REPLICAS = 5_000;

/**
 * Says of each deployment with replicas on a node what would become of them if that node left: first by id, each after
 * those before it have taken their room. What has a volume there waits for the node, unless its policy says otherwise.
 * Nothing is reserved.
 *
 * @throws NOT_FOUND
 */
export async function simulateLoss(
  db: Database,
  { nodeId }: { readonly nodeId: string },
  rules: PlacementRules,
): Promise<Simulated[]> {
  return await inSnapshot(db, async (tx) => {
    const model = await readModel(tx, rules, nodeId);
    const demands: NamedDemand[] = [];
    for (const { deploymentId, services } of await listLost(tx, nodeId)) {
      const deployment = await findRevised(tx, deploymentId);
      const spec = await getSpec(tx, deploymentId, deployment.currentRevision || deployment.revision);
      const asked = {
        deployment,
        spec,
        leaves: (await mayBeginEmpty(tx, deployment, { spec, nodeId })) ? nodeId : null,
      };
      if (isCompose(spec)) {
        demands.push(await wholeDemand(tx, { ...asked, services }));
        continue;
      }
      for (const service of servicesOf(spec)) {
        const replicas = services.get(service.name) ?? 0;
        if (replicas > 0) demands.push(await demandFor(tx, { ...asked, service, replicas }));
      }
    }
    model.remove(nodeId);
    return demands.map((demand) => simulateOne(model, demand, nodeId));
  });
}

type NamedDemand = Demand & { readonly name: string };

function simulateOne(model: ClusterModel, demand: NamedDemand, lost: string): Simulated {
  const { deploymentId, name, service, only } = demand;
  const outcome = model.place(demand);
  const waits = only === lost ? { refusal: `${name} waits for ${lost}: its volumes are there` } : {};
  return { deploymentId, name, service, outcome: { ...outcome, ...waits } };
}

/** Finds a deployment with a revision. @throws NOT_FOUND */
export async function findRevised(tx: DatabaseTransaction, id: string): Promise<LockedDeployment> {
  const found = await tx.selectFrom('deployments').select(LOCKED_COLUMNS).where('id', '=', id).executeTakeFirst();
  if (!found || found.revision === 0) throw notFound('deployment');
  return found;
}

interface Asked {
  readonly deployment: LockedDeployment;
  readonly spec: DeploymentSpec;
  /** The lost node on which it leaves its volumes; `null` when it waits for that. */
  readonly leaves?: string | null;
}

/** What further replicas of one service ask for. */
export async function demandFor(
  tx: DatabaseTransaction,
  of: Asked & { readonly service: ServiceSpec; readonly replicas: number },
): Promise<NamedDemand> {
  const { deployment, spec, service, replicas } = of;
  const { placement: policy = ANYWHERE } = spec;
  return {
    ...{ deploymentId: deployment.id, name: deployment.name, service: service.name },
    request: {
      ...{ name: deployment.name, replicas, policy },
      ...{ cpuCores: service.limits.cpuCores, memoryBytes: service.limits.memoryBytes },
      together: (service.volumes ?? []).length > 0,
    },
    only: (await findHome(tx, of)) ?? (isCompose(spec) ? await findCompanions(tx, deployment.id) : null),
    nearId: await findNear(tx, deployment, policy.near),
  };
}

async function wholeDemand(
  tx: DatabaseTransaction,
  of: Asked & { readonly services: ReadonlyMap<string, number> },
): Promise<NamedDemand> {
  const { deployment, spec, services } = of;
  const { placement: policy = ANYWHERE } = spec;
  const lost = servicesOf(spec).flatMap(({ name, limits }) => new Array(services.get(name) ?? 0).fill(limits));
  const sum = (part: 'cpuCores' | 'memoryBytes'): number => lost.reduce((total, limits) => total + limits[part], 0);
  return {
    ...{ deploymentId: deployment.id, name: deployment.name, service: null },
    request: {
      ...{ name: deployment.name, replicas: 1, policy, together: true },
      ...{ cpuCores: sum('cpuCores'), memoryBytes: sum('memoryBytes') },
      largestCpuCores: Math.max(0, ...lost.map(({ cpuCores }) => cpuCores)),
    },
    only: await findHome(tx, of),
    nearId: await findNear(tx, deployment, policy.near),
  };
}

/** The node that has its volumes; `null` while it has none. */
async function findHome(tx: DatabaseTransaction, { deployment, spec, leaves = null }: Asked): Promise<Demand['only']> {
  const names = volumeNames(spec);
  if (names.length === 0) return null;
  const placed = await tx
    .selectFrom('volumes')
    .select('node_id as nodeId')
    .where('project_id', '=', deployment.projectId)
    .where(isOneOfTexts('name', names))
    .where('node_id', 'is not', null)
    .$if(leaves !== null, (query) => query.where('node_id', '<>', leaves ?? ''))
    .executeTakeFirst();
  return placed?.nodeId ?? null;
}

/** The node on which the other services of it run. */
async function findCompanions(tx: DatabaseTransaction, deploymentId: string): Promise<Demand['only']> {
  const found = await tx
    .selectFrom('replicas')
    .select('node_id as nodeId')
    .where('deployment_id', '=', deploymentId)
    .where('serving', '=', true)
    .executeTakeFirst();
  return found?.nodeId ?? null;
}

async function findNear(
  tx: DatabaseTransaction,
  { projectId }: LockedDeployment,
  name: string | null,
): Promise<string | null> {
  if (name === null) return null;
  const query = tx.selectFrom('deployments').select('id').where('project_id', '=', projectId).where('name', '=', name);
  return (await query.executeTakeFirst())?.id ?? null;
}

/** By deployment and service, how many replicas a node has that would be replaced. */
async function listLost(tx: DatabaseTransaction, nodeId: string) {
  const rows = await tx
    .selectFrom('replicas')
    .select((eb) => ['deployment_id as deploymentId', 'service', eb.fn.countAll<number>().as('count')])
    .where('node_id', '=', nodeId)
    .where('serving', '=', true)
    .groupBy(['deployment_id', 'service'])
    .orderBy('deployment_id')
    .limit(MOST_REPLICAS)
    .execute();
  return [...Map.groupBy(rows, (row) => row.deploymentId)].map(([deploymentId, of]) => ({
    deploymentId,
    services: new Map(of.map(({ service, count }) => [service, count])),
  }));
}

async function readModel(tx: DatabaseTransaction, rules: PlacementRules, mustHave?: string): Promise<ClusterModel> {
  const nodes = await readModelNodes(tx);
  if (mustHave !== undefined && !nodes.some(({ nodeId }) => nodeId === mustHave)) throw notFound('node');
  const replicas = await readModelReplicas(tx);
  const rotation = await tx.selectFrom('placement_rotation').select('node_id').executeTakeFirst();
  return createClusterModel({ nodes, replicas, after: rotation?.node_id ?? null }, rules);
}

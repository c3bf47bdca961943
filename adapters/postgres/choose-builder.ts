import type { PlannedReplica, ServicePlan } from '../../contracts/rollout.ts';
import { DomainError } from '../../domain/errors.ts';
import { nobodyHasNixpacks } from '../../domain/nixpacks.ts';
import { needsNixpacks } from '../../domain/spec.ts';
import type { DatabaseTransaction } from './database.ts';
import type { LockedDeployment } from './deployment-lock.ts';
import { readPlacementNodes } from './placement/placement-nodes.ts';

/** A service whose image is to be built. */
interface Building {
  readonly deployment: Pick<LockedDeployment, 'id' | 'projectId'>;
  readonly plan: ServicePlan;
  /** Its replicas: those that are reserved first, then old ones on nodes that answer. */
  readonly candidates: readonly Pick<PlannedReplica, 'nodeId'>[];
}

/** Nodes that a refusal names. */
const NAMED_NODES = 5;

/**
 * The node that builds the image of a service: that of its first replica. What needs nixpacks is built on one of its nodes
 * that has it; else on another ready one of the same architecture, of which the least is reserved, since nodes send
 * images to each other. A repeated call gives the same node.
 *
 * @throws NO_NODE_READY, which may pass; SOURCE_REFUSED where no node has nixpacks.
 */
export async function chooseBuilder(tx: DatabaseTransaction, building: Building): Promise<string> {
  const { plan, candidates, deployment } = building;
  const first = candidates[0]?.nodeId;
  if (first === undefined) throw nobodyBuilds(plan.template.serviceName);
  if (!needsNixpacks(plan.source)) return first;
  const chosen = await findChosen(tx, plan.template);
  if (chosen !== undefined) return chosen;
  const having = await tx
    .selectFrom('nodes')
    .select(['id', 'architecture'])
    .where('nixpacks_version', '<>', '')
    .orderBy('id')
    .execute();
  if (having.length === 0) throw nobodyHasNixpacks(`the image of ${plan.template.serviceName}`);
  const itself = candidates.find(({ nodeId }) => having.some(({ id }) => id === nodeId));
  if (itself) return itself.nodeId;
  const nodes = await readPlacementNodes(tx, { deployment, operation: null, service: null, near: null });
  const architecture = nodes.find(({ nodeId }) => nodeId === first)?.architecture;
  const [best] = nodes
    .filter((node) => node.ready && node.architecture === architecture && having.some(({ id }) => id === node.nodeId))
    .sort(
      (a, b) =>
        a.reservedMemoryBytes / a.memoryBytes - b.reservedMemoryBytes / b.memoryBytes || (a.nodeId < b.nodeId ? -1 : 1),
    );
  if (best) return best.nodeId;
  const names = having.slice(0, NAMED_NODES).map(({ id }) => id);
  throw nobodyReady(plan.template.serviceName, `${names.join(', ')} with nixpacks, not ready or not ${architecture}`);
}

async function findChosen(
  tx: DatabaseTransaction,
  { deploymentId, revision, service }: ServicePlan['template'],
): Promise<string | undefined> {
  const build = await tx
    .selectFrom('builds')
    .select('node_id as nodeId')
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .where('service', '=', service)
    .executeTakeFirst();
  return build?.nodeId;
}

function nobodyBuilds(name: string): DomainError {
  return new DomainError('NO_NODE_READY', `cannot build the image of ${name}: no node is ready`, {
    hint: 'Look at the nodes with "obiente nodes", then deploy again.',
  });
}

function nobodyReady(name: string, found: string): DomainError {
  return new DomainError('NO_NODE_READY', `cannot build the image of ${name}: there is only ${found}`, {
    hint: 'Look at the nodes with "obiente nodes", then deploy again.',
    mayPass: true,
  });
}

import { DomainError } from '../../../domain/errors.ts';
import { isLeft } from '../../../domain/move.ts';
import { makesRevision } from '../../../domain/operation.ts';
import { explainPlacement } from '../../../domain/placement/explain.ts';
import { choosePlacement, type PlacementRules, rulesFor } from '../../../domain/placement/placement.ts';
import type { PlacementPolicy } from '../../../domain/placement/policy.ts';
import { toPlacementError } from '../../../domain/placement/refusal.ts';
import { choosePlacementOfKind } from '../../../domain/placement/same-kind.ts';
import type { PlacementRequest } from '../../../domain/placement/strategy.ts';
import type { ServiceSpec } from '../../../domain/spec.ts';
import { findBuiltFor } from '../builds.ts';
import type { DatabaseTransaction } from '../database.ts';
import type { LockedDeployment, StoredOperation } from '../deployment-lock.ts';
import { readPlacementNodes } from './placement-nodes.ts';

/** Replicas of one service that need a place. */
export interface Placing {
  readonly service: ServiceSpec;
  readonly revision: number;
  readonly count: number;
  /** Whether it has to be where the other services are: their network does not reach beyond a node. */
  readonly sharesNode: boolean;
  /** Volumes of all services that share the node, or of this one: where those are, it has to be. */
  readonly volumes: readonly string[];
}

/** Who places. */
export interface Placer {
  readonly deployment: LockedDeployment;
  readonly operation: StoredOperation;
  /** What the newest revision that is placed says about places. */
  readonly policy: PlacementPolicy;
  /** Ids of nodes whose daemon is in trouble, which may not be recorded yet. */
  readonly avoid: readonly string[];
}

/** A node, and why it was chosen, for people. */
export interface ChosenNode {
  readonly nodeId: string;
  readonly why: string;
}

/**
 * The node on which services of the deployment stay or are reserved already, or which holds their volumes; else the best
 * one with room for all.
 *
 * @throws NO_NODE_READY when the volumes are on another node than the services that stay.
 */
export async function chooseSharedNode(
  tx: DatabaseTransaction,
  placer: Placer,
  of: {
    readonly placings: readonly Placing[];
    /** The node that holds the volumes; `null` while they have none. */
    readonly home: string | null;
  },
  platformRules: PlacementRules,
): Promise<ChosenNode> {
  const { deployment, policy } = placer;
  const { placings, home } = of;
  const rules = rulesFor(platformRules, policy);
  const anchor = await findAnchor(tx, placer);
  if (anchor !== undefined && home !== null && anchor !== home) throw apart(deployment.name, { anchor, home });
  if (anchor !== undefined) return { nodeId: anchor, why: 'other services of it are there' };
  if (home !== null) return atHome(home);
  const sum = (partOf: (limits: ServiceSpec['limits']) => number): number =>
    placings.reduce((total, { service, count }) => total + count * partOf(service.limits), 0);
  const request: PlacementRequest = {
    name: deployment.name,
    replicas: 1,
    cpuCores: sum(({ cpuCores }) => cpuCores),
    memoryBytes: sum(({ memoryBytes }) => memoryBytes),
    together: true,
    policy,
    largestCpuCores: Math.max(...placings.map(({ service }) => service.limits.cpuCores)),
  };
  const nodes = await readPlacementNodes(tx, { ...placer, service: null, near: policy.near });
  const question = { request, rules, nodes, after: await readRotation(tx, rules) };
  const builtFor = await findBuiltForOneOf(tx, deployment.id, placings);
  const { assignments, refusal } = choosePlacementOfKind({ ...question, builtFor });
  if (refusal) throw toPlacementError(request, refusal);
  await turnRotation(tx, rules, assignments);
  return { nodeId: assignments[0] ?? '', why: explainPlacement(question, assignments) };
}

/** The choice of what has volumes. */
export function atHome(nodeId: string): ChosenNode {
  return { nodeId, why: 'its volumes are there' };
}

/** The node at which a rotation goes on; `null` before it began, and for strategies that have none. */
export async function readRotation(tx: DatabaseTransaction, { strategy }: PlacementRules): Promise<string | null> {
  if (strategy !== 'round-robin') return null;
  const row = await tx.selectFrom('placement_rotation').select('node_id').executeTakeFirst();
  return row?.node_id ?? null;
}

async function turnRotation(
  tx: DatabaseTransaction,
  { strategy }: PlacementRules,
  assignments: readonly string[],
): Promise<void> {
  const node_id = assignments.at(-1);
  if (strategy !== 'round-robin' || node_id === undefined) return;
  await tx
    .insertInto('placement_rotation')
    .values({ node_id })
    .onConflict((conflict) => conflict.column('only_row').doUpdateSet({ node_id }))
    .execute();
}

function apart(name: string, { anchor, home }: { readonly anchor: string; readonly home: string }): DomainError {
  const where = `its volumes are on ${home}, and services that stay on ${anchor}`;
  return new DomainError('NO_NODE_READY', `cannot place ${name}: ${where}`, {
    hint: 'Stop the deployment first, so that all of it starts where its volumes are.',
  });
}

/** What is built is built for the architecture of the node that builds it. */
export function isBuilt({ source }: ServiceSpec): boolean {
  return source.kind !== 'image';
}

async function findBuiltForOneOf(
  tx: DatabaseTransaction,
  deploymentId: string,
  placings: readonly Placing[],
): Promise<string | null> {
  for (const { service, revision } of placings.filter(({ service }) => isBuilt(service))) {
    const builtFor = await findBuiltFor(tx, { deploymentId, revision, service: service.name });
    if (builtFor !== null) return builtFor;
  }
  return null;
}

async function findAnchor(
  tx: DatabaseTransaction,
  { deployment: { id }, operation: { id: operationId, kind, kept, move } }: Placer,
): Promise<string | undefined> {
  const replicas = await tx
    .selectFrom('replicas')
    .innerJoin('nodes', 'nodes.id', 'replicas.node_id')
    .select(['node_id as nodeId', 'service', 'revision', 'operation_id as reservedBy'])
    .where('deployment_id', '=', id)
    .$if(kind === 'heal', (query) => query.where('nodes.state', '!=', 'lost'))
    .orderBy('replica_id')
    .execute();
  const stays = (service: string, revision: number): boolean =>
    makesRevision(kind) ? kept[service] === revision : kind !== 'restart';
  const found = replicas.find(
    ({ service, revision, nodeId, reservedBy }) =>
      reservedBy === operationId || (stays(service, revision) && !(move && isLeft(move, nodeId))),
  );
  return found?.nodeId;
}

/**
 * Chooses a node for each replica, and says why those; a built image gets to whichever it is of its architecture.
 *
 * @param only the node that was chosen already; `null` for whichever is best.
 * @throws INSUFFICIENT_CAPACITY, NO_NODE_READY
 */
export async function chooseNodes(
  tx: DatabaseTransaction,
  placer: Placer,
  { placing, only }: { readonly placing: Placing; readonly only: string | null },
  platformRules: PlacementRules,
): Promise<{ readonly assignments: readonly string[]; readonly why: string }> {
  const { deployment, policy } = placer;
  const { service, count } = placing;
  const rules = rulesFor(platformRules, policy);
  const request: PlacementRequest = {
    name: deployment.name,
    replicas: count,
    cpuCores: service.limits.cpuCores,
    memoryBytes: service.limits.memoryBytes,
    together: (service.volumes ?? []).length > 0,
    policy,
  };
  const nodes = await readPlacementNodes(tx, { ...placer, service: service.name, near: policy.near });
  const able = only === null ? nodes : nodes.filter(({ nodeId }) => nodeId === only);
  const question = { request, rules, nodes: able, after: only === null ? await readRotation(tx, rules) : null };
  const { assignments, refusal } = isBuilt(service)
    ? choosePlacementOfKind({ ...question, builtFor: await findBuiltForOneOf(tx, deployment.id, [placing]) })
    : choosePlacement(question);
  if (refusal) throw toPlacementError(request, refusal);
  if (only === null) await turnRotation(tx, rules, assignments);
  return { assignments, why: explainPlacement(question, assignments) };
}

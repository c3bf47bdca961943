import { sql } from 'kysely';
import { DomainError } from '../../domain/errors.ts';
import type { NodeLabels } from '../../domain/node-labels.ts';
import { leaseTaken } from '../../domain/node-lease.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { requireAdmission } from './node-admissions.ts';
import { epochAfter, type LeaseTaker, leaseEnd, mayTake } from './node-leases.ts';
import type { NodeState, PublicJwk } from './schema-nodes.ts';

/** The reason of a node that counts as lost because nobody has seen it work yet. */
export const NOT_SEEN_YET = 'enrolled, not seen working yet';

/** What a node says of itself when it enrols. */
export interface NodeEnrolment extends LeaseTaker {
  readonly nodeId: string;
  readonly hostname: string;
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly dockerVersion: string;
  readonly architecture: string;
  /** Of the nixpacks that it can build with; empty or absent where it has none. */
  readonly nixpacksVersion?: string;
  /** Address at which its replicas' published ports are reached. */
  readonly address: string;
  readonly gatewayUrl: string;
  readonly streamerUrl: string;
  readonly labels: NodeLabels;
  /** What its host is in its Docker Swarm; absent where it is in none. */
  readonly swarm?: { readonly nodeId: string; readonly isManager: boolean };
  readonly signingJwk: PublicJwk;
  readonly encryptionJwk: PublicJwk;
  /** How long the first lease holds, milliseconds. */
  readonly leaseMs: number;
}

/** A node and what is reserved on it. */
export interface NodeRecord extends Omit<NodeEnrolment, 'leaseMs' | 'swarm' | 'nixpacksVersion' | keyof LeaseTaker> {
  readonly nixpacksVersion: string;
  readonly state: NodeState;
  /** Whether an operator has taken it out of placement. */
  readonly cordoned: boolean;
  /** Whether what runs there is being moved to others. */
  readonly draining: boolean;
  /** For people; empty when all is well. */
  readonly reason: string;
  /** What is the matter with its disk, for people; empty while that has room. */
  readonly diskNotice: string;
  readonly reservedCpuCores: number;
  readonly reservedMemoryBytes: number;
  readonly replicas: number;
  readonly leaseExpiresAt: Date;
  readonly lastSeenAt: Date;
}

/**
 * Makes a node known, or known again with its present capacity and addresses, and gives its lease to the process that
 * asks.
 *
 * A new node counts as lost until its workflow has seen it; an enrolment by itself never changes the state. The keys
 * of a known node cannot be replaced, so whoever learns the join token cannot take over a node's id.
 *
 * @returns the epoch of the lease.
 * @throws PERMISSION_DENIED when the id belongs to a node with other keys, or was removed, and when another node is on that
 * host of the swarm; NODE_LEASE_LOST (retryable) while another process has the lease.
 */
export async function enrolNode(db: Database, node: NodeEnrolment): Promise<{ readonly epoch: number }> {
  const facts = {
    hostname: node.hostname,
    cpu_cores: node.cpuCores,
    memory_bytes: node.memoryBytes,
    docker_version: node.dockerVersion,
    architecture: node.architecture,
    nixpacks_version: node.nixpacksVersion ?? '',
    address: node.address,
    gateway_url: node.gatewayUrl,
    streamer_url: node.streamerUrl,
    labels: JSON.stringify(node.labels),
    swarm_node_id: node.swarm?.nodeId ?? null,
    swarm_manager: node.swarm?.isManager ?? false,
    lease_expires_at: leaseEnd(node.leaseMs),
    lease_holder: node.holder ?? null,
    last_seen_at: sql<Date>`now()`,
  };
  const keys = { signing_jwk: JSON.stringify(node.signingJwk), encryption_jwk: JSON.stringify(node.encryptionJwk) };
  const epoch = node.holder === undefined ? 0 : 1;
  return await db.transaction().execute(async (tx) => {
    await requireAdmission(tx, node);
    await requireOwnHost(tx, node);
    const enrolled = await tx
      .insertInto('nodes')
      .values({ id: node.nodeId, state: 'lost', reason: NOT_SEEN_YET, epoch, ...facts, ...keys })
      .onConflict((conflict) =>
        conflict
          .column('id')
          .doUpdateSet({ ...facts, epoch: epochAfter(node) })
          .where(mayTake(node)),
      )
      .returning('epoch')
      .executeTakeFirst();
    return enrolled ?? (await refuseTaken(tx, node.nodeId));
  });
}

/** A host of a swarm stays the node's that was there first: who has it is let at what is pinned to it. */
async function requireOwnHost(tx: DatabaseTransaction, { nodeId, swarm }: NodeEnrolment): Promise<void> {
  if (!swarm) return;
  const other = await tx
    .selectFrom('nodes')
    .select('id')
    .where('swarm_node_id', '=', swarm.nodeId)
    .where('id', '!=', nodeId)
    .executeTakeFirst();
  if (!other) return;
  throw new DomainError('PERMISSION_DENIED', `swarm node ${swarm.nodeId} is the host of node ${other.id}`, {
    hint: `If that node was set up anew, remove what it was before with "obiente node remove ${other.id}".`,
  });
}

async function refuseTaken(tx: DatabaseTransaction, nodeId: string): Promise<never> {
  const { leftMs } = await tx
    .selectFrom('nodes')
    .select(sql<number>`(extract(epoch FROM lease_expires_at - now()) * 1000)::float8`.as('leftMs'))
    .where('id', '=', nodeId)
    .executeTakeFirstOrThrow();
  throw leaseTaken(nodeId, leftMs);
}

/** Takes a node out of placement, or puts it back. What runs there stays. */
export async function setCordoned(db: Database, nodeId: string, cordoned: boolean): Promise<void> {
  await db.updateTable('nodes').set({ cordoned }).where('id', '=', nodeId).execute();
}

/** Finds one node. */
export async function findNode(db: Database, nodeId: string): Promise<NodeRecord | undefined> {
  return await selectNodes(db).where('nodes.id', '=', nodeId).executeTakeFirst();
}

/** Finds some nodes. */
export async function findNodes(db: Database, nodeIds: readonly string[]): Promise<NodeRecord[]> {
  if (nodeIds.length === 0) return [];
  return await selectNodes(db).where('nodes.id', 'in', nodeIds).orderBy('nodes.id').execute();
}

/** Lists nodes by id. */
export async function listNodes(
  db: Database,
  { limit, afterId }: { readonly limit: number; readonly afterId?: string | undefined },
): Promise<NodeRecord[]> {
  return await selectNodes(db)
    .$if(afterId !== undefined, (query) => query.where('nodes.id', '>', afterId ?? ''))
    .orderBy('nodes.id')
    .limit(limit)
    .execute();
}

/** Lists the nodes that hold replicas of a deployment, by id. */
export async function listNodesOfDeployment(db: Database, deploymentId: string): Promise<NodeRecord[]> {
  return await selectNodes(db)
    .where('nodes.id', 'in', (eb) =>
      eb.selectFrom('replicas').select('replicas.node_id').where('replicas.deployment_id', '=', deploymentId),
    )
    .orderBy('nodes.id')
    .execute();
}

/** Whether what runs on a node is being moved to others; in a query that has `nodes`. */
export const DRAINING = sql<boolean>`EXISTS (
  SELECT FROM node_drains WHERE node_drains.node_id = nodes.id AND node_drains.state = 'running'
)`;

function selectNodes(db: Database) {
  return db
    .selectFrom('nodes')
    .leftJoinLateral(
      (eb) =>
        eb
          .selectFrom('replicas')
          .select((of) => [
            of.fn.coalesce(of.fn.sum<number>('replicas.cpu_cores'), sql<number>`0`).as('reservedCpuCores'),
            sql<number>`coalesce(sum(replicas.memory_bytes), 0)::bigint`.as('reservedMemoryBytes'),
            of.fn.countAll<number>().as('replicas'),
          ])
          .whereRef('replicas.node_id', '=', 'nodes.id')
          .as('held'),
      (join) => join.onTrue(),
    )
    .select([
      'nodes.id as nodeId',
      'nodes.hostname',
      'nodes.cpu_cores as cpuCores',
      'nodes.memory_bytes as memoryBytes',
      'nodes.docker_version as dockerVersion',
      'nodes.architecture',
      'nodes.nixpacks_version as nixpacksVersion',
      'nodes.labels',
      'nodes.cordoned',
      'nodes.address',
      'nodes.gateway_url as gatewayUrl',
      'nodes.streamer_url as streamerUrl',
      'nodes.signing_jwk as signingJwk',
      'nodes.encryption_jwk as encryptionJwk',
      'nodes.state',
      'nodes.reason',
      'nodes.disk_notice as diskNotice',
      'nodes.lease_expires_at as leaseExpiresAt',
      'nodes.last_seen_at as lastSeenAt',
    ])
    .select((eb) => [
      eb.ref('held.reservedCpuCores').$notNull().as('reservedCpuCores'),
      eb.ref('held.reservedMemoryBytes').$notNull().as('reservedMemoryBytes'),
      eb.ref('held.replicas').$notNull().as('replicas'),
      DRAINING.as('draining'),
    ]);
}

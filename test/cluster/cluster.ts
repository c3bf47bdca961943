import type { Client } from '@temporalio/client';
import type { Database } from '../../adapters/postgres/database.ts';
import type { NodeState } from '../../adapters/postgres/schema-nodes.ts';
import type { Api } from '../../cli/client.ts';
import { LABEL } from '../../domain/naming.ts';
import type { ProcessControl } from '../faults/process-control.ts';
import { copyImage } from '../support/copy-image.ts';
import { openTestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { openTcpProxy } from '../support/tcp-proxy.ts';
import { type ClusterNode, startClusterHost, startClusterNode } from './cluster-node.ts';
import { startControlPlane } from './control-plane.ts';
import { bindToAddress, formSwarm, SWARM_SETTINGS } from './form-swarm.ts';
import { type ClusterNetwork, openClusterNetwork } from './network.ts';

/** A platform with three hosts, and ways to harm them and to look behind its back. */
export interface Cluster {
  readonly instance: string;
  readonly api: Api;
  readonly db: Database;
  /** Straight to Temporal. */
  readonly temporal: Client;
  readonly network: ClusterNetwork;
  /** Of the control plane. */
  readonly processes: Pick<ProcessControl, 'kill'>;
  readonly nodes: readonly ClusterNode[];
  /** Adds a host whose daemon has a disk of its own; it ends with the stack. */
  addNode(stack: AsyncDisposableStack, of: { readonly diskBytes: number }): Promise<ClusterNode>;
  /** Those without any one of which the rest can go on: not a swarm's manager whose loss is that of the majority. */
  readonly losable: readonly ClusterNode[];
  /** Of the application that is deployed; every daemon has it. */
  readonly image: string;
  readonly httpPort: number;
}

/** Of what kind a cluster is. */
export interface ClusterKind {
  readonly runtime?: 'docker' | 'swarm';
  /** How many of the hosts manage the swarm, the first ones; none said: all. */
  readonly managers?: number | undefined;
  /** Of the Docker Engines, host by host and then from the first again; none: the machine's own. */
  readonly dockerVersions?: readonly string[];
}

/** Enough for what is on one to go to others and still not be together. */
const NODES = 3;

/** Opens a cluster; nothing of it is left when the stack is disposed of. */
export async function openCluster(
  stack: AsyncDisposableStack,
  { runtime = 'docker', dockerVersions = [], managers = NODES }: ClusterKind = {},
): Promise<Cluster> {
  const corner = await openTestDocker();
  stack.defer(corner.remove);
  const network = await openClusterNetwork(stack);
  const { installation, api, db, temporal, processes } = await startControlPlane(stack, network);
  const { config, instance } = installation;
  const ports = { apiPort: config.API_PORT, temporalPort: config.TEMPORAL_PORT };
  for (const port of Object.values(ports)) {
    const way = await openTcpProxy(port, { host: network.address, port });
    stack.defer(way.stop);
  }
  const settings = runtime === 'swarm' ? SWARM_SETTINGS : {};
  const home = { network, installation, runtime, ...ports };
  const hosts = await Promise.all(
    Array.from({ length: NODES }, (_, index) => {
      const dockerVersion = dockerVersions[index % dockerVersions.length];
      return startClusterHost(stack, { index, network, settings, dockerVersion });
    }),
  );
  for (const { docker } of hosts) await copyImage(corner.image, corner.client, docker.client);
  if (runtime === 'swarm') {
    const members = hosts.map(({ host: { address }, docker }) => ({ address, docker }));
    await Promise.all(members.map(bindToAddress));
    await formSwarm(stack, members, managers);
  }
  const nodes = await Promise.all(hosts.map((host) => startClusterNode(stack, host, home)));
  let added = NODES;
  const addNode: Cluster['addNode'] = async (until, { diskBytes }) => {
    const place = { index: added, network, settings, dockerVersion: dockerVersions[0], diskBytes };
    added += 1;
    const host = await startClusterHost(until, place);
    await copyImage(corner.image, corner.client, host.docker.client);
    return await startClusterNode(until, host, home);
  };
  const cluster = {
    instance,
    api,
    db,
    temporal,
    network,
    processes,
    nodes,
    addNode,
    losable: runtime === 'swarm' && managers < NODES ? nodes.slice(managers) : nodes,
    image: corner.image,
    httpPort: config.HTTP_PORT,
  };
  await untilAllAre(cluster, 'ready');
  return cluster;
}

/** What a node is recorded as. */
export async function stateOf({ db }: Pick<Cluster, 'db'>, { nodeId }: ClusterNode): Promise<NodeState> {
  const { state } = await db.selectFrom('nodes').select('state').where('id', '=', nodeId).executeTakeFirstOrThrow();
  return state;
}

/** Waits until a node is recorded as this. */
export async function untilNodeIs(
  cluster: Pick<Cluster, 'db'>,
  node: ClusterNode,
  wanted: NodeState,
  patienceMs = 120_000,
): Promise<void> {
  await eventually(
    async () => {
      const state = await stateOf(cluster, node);
      if (state !== wanted) throw new Error(`${node.nodeId} is ${state}, not ${wanted}`);
    },
    { patienceMs },
  );
}

/** Waits until all nodes are recorded as this. */
export async function untilAllAre(cluster: Pick<Cluster, 'db' | 'nodes'>, wanted: NodeState): Promise<void> {
  for (const node of cluster.nodes) await eventually(() => untilNodeIs(cluster, node, wanted));
}

/** A container as Docker's own API tells of it; on a swarm, the last one of a service, by whose id it goes. */
export interface SeenContainer {
  readonly id: string;
  /** Docker's own id of it. */
  readonly dockerId: string;
  readonly nodeId: string;
  readonly replica: string;
  readonly running: boolean;
}

/** Every container of a deployment on these nodes, stopped ones too. */
export async function containersOf(
  deploymentId: string,
  nodes: readonly ClusterNode[],
): Promise<readonly SeenContainer[]> {
  const filters = { label: [`${LABEL.deploymentId}=${deploymentId}`] };
  const found = await Promise.all(
    nodes.map(async ({ nodeId, docker }) => {
      const containers = await docker.client.listContainers({ all: true, filters });
      const seen = containers.map(({ Id, Labels, State }) => {
        const id = Labels['com.docker.swarm.service.id'] ?? Id;
        return { id, dockerId: Id, nodeId, replica: Labels[LABEL.replica] ?? '', running: State === 'running' };
      });
      return seen.filter(({ id, running }, at) => {
        const same = seen.filter((other) => other.id === id);
        return running || (same[0] === seen[at] && !same.some((other) => other.running));
      });
    }),
  );
  return found.flat();
}

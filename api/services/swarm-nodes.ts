import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { findNodes, type NodeRecord } from '../../adapters/postgres/nodes.ts';
import { listNodesInSwarms } from '../../adapters/postgres/swarm-managers.ts';
import { DomainError } from '../../domain/errors.ts';
import type { NodeSchema, NodesService, SwarmNodeSchema } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import type { SwarmNode } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import type { SwarmHosts } from '../gateways/swarm-hosts.ts';

/** More hosts than a swarm is known to bear. */
const MOST_HOSTS = 1_000;

/** What the list of swarm hosts needs. */
export interface SwarmNodesDeps {
  readonly db: Database;
  readonly swarmHosts: SwarmHosts;
}

/** Creates the part of the service of nodes that tells which hosts the swarms have, and which of them are nodes. */
export function createSwarmNodes(
  { db, swarmHosts }: SwarmNodesDeps,
  toWire: (node: NodeRecord) => MessageInitShape<typeof NodeSchema>,
): Pick<ServiceImpl<typeof NodesService>, 'listSwarmNodes'> {
  /** Each swarm is told of by the first of its managers that answers. */
  const listHosts = async (managers: readonly { swarmNodeId: string; nodeId: string; gatewayUrl: string }[]) => {
    const hosts = new Map<string, SwarmNode>();
    let isAnswered = managers.length === 0;
    for (const manager of managers) {
      if (hosts.has(manager.swarmNodeId)) continue;
      const found = await swarmHosts.list(manager);
      isAnswered ||= found !== undefined;
      for (const host of found ?? []) hosts.set(host.id, host);
    }
    if (isAnswered) return hosts;
    throw new DomainError('NODE_UNAVAILABLE', 'no node on a manager of the swarm answers', {
      hint: 'Look at the nodes with "obiente nodes", and on a manager with "docker node ls".',
    });
  };

  return {
    async listSwarmNodes() {
      const enrolled = await listNodesInSwarms(db, MOST_HOSTS);
      const hosts = await listHosts(enrolled.filter(({ isManager }) => isManager));
      const nodes = new Map(
        (
          await findNodes(
            db,
            enrolled.map(({ nodeId }) => nodeId),
          )
        ).map((node) => [node.nodeId, node]),
      );
      const onHost = new Map(enrolled.map(({ swarmNodeId, nodeId }) => [swarmNodeId, nodes.get(nodeId)]));
      const nodeOf = (swarmNodeId: string) => {
        const node = onHost.get(swarmNodeId);
        return node ? { node: toWire(node), reason: node.state === 'ready' ? '' : node.reason } : {};
      };
      const inSwarm = [...hosts.values()]
        .sort((one, other) =>
          one.hostname < other.hostname || (one.hostname === other.hostname && one.id < other.id) ? -1 : 1,
        )
        .map(({ id: swarmNodeId, hostname, role, availability, state, address }) => {
          return { swarmNodeId, hostname, role, availability, state, address, ...nodeOf(swarmNodeId) };
        });
      const left = enrolled
        .filter(({ swarmNodeId }) => !hosts.has(swarmNodeId))
        .map(({ swarmNodeId, nodeId }): MessageInitShape<typeof SwarmNodeSchema> => {
          const hostname = nodes.get(nodeId)?.hostname ?? '';
          return { swarmNodeId, hostname, state: 'left', ...nodeOf(swarmNodeId) };
        });
      return { nodes: [...inSwarm, ...left].slice(0, MOST_HOSTS) };
    },
  };
}

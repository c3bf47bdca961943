import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { findNode, listNodes, type NodeRecord } from '../../adapters/postgres/nodes.ts';
import { notFound } from '../../domain/errors.ts';
import { type NodeSchema, NodeState, type NodesService } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { readPage } from '../wire/page.ts';

const STATE: Record<NodeRecord['state'], NodeState> = {
  ready: NodeState.READY,
  degraded: NodeState.DEGRADED,
  lost: NodeState.LOST,
  draining: NodeState.DRAINING,
  cordoned: NodeState.CORDONED,
};

/** Creates the service of nodes: names and sizes, for every signed-in user. */
export function createNodesService({ db }: { readonly db: Database }): ServiceImpl<typeof NodesService> {
  return {
    async getNode({ nodeId }) {
      const node = await findNode(db, nodeId);
      if (!node) throw notFound('node');
      return { node: toWire(node) };
    },
    async listNodes(request) {
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'nodes', filters: [] },
        forms: ['name'],
        keyOf: (node: NodeRecord) => [node.nodeId],
        read: ({ limit, after }) => listNodes(db, { limit, afterId: after?.[0] }),
      });
      return { nodes: rows.map(toWire), page };
    },
  };
}

function toWire(node: NodeRecord): MessageInitShape<typeof NodeSchema> {
  return {
    id: node.nodeId,
    hostname: node.hostname,
    state: STATE[node.state],
    cpuCores: node.cpuCores,
    memoryBytes: BigInt(node.memoryBytes),
    reservedCpuCores: node.reservedCpuCores,
    reservedMemoryBytes: BigInt(node.reservedMemoryBytes),
    replicas: node.replicas,
    dockerVersion: node.dockerVersion,
    architecture: node.architecture,
    lastSeenAt: timestampFromDate(node.lastSeenAt),
  };
}

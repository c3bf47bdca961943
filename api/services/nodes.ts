import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { findNode, listNodes, type NodeRecord, setCordoned } from '../../adapters/postgres/nodes.ts';
import { notFound } from '../../domain/errors.ts';
import type { NodeSchema, NodesService } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { toWireNodeState } from '../wire/node-state.ts';
import { readPage } from '../wire/page.ts';
import { createDrains, type DrainDeps } from './drains.ts';
import { createNodeTokens, type NodeTokensDeps } from './node-tokens.ts';
import { createSwarmNodes, type SwarmNodesDeps } from './swarm-nodes.ts';

/** What the service of nodes needs. */
export interface NodesDeps extends DrainDeps, SwarmNodesDeps {
  readonly workflows: DrainDeps['workflows'] & NodeTokensDeps['workflows'];
}

/** Creates the service of nodes: names, sizes and labels for every signed-in user; changes for operators of the platform. */
export function createNodesService(deps: NodesDeps): ServiceImpl<typeof NodesService> {
  const { db, workflows } = deps;
  const cordon = async (nodeId: string, cordoned: boolean) => {
    await setCordoned(db, nodeId, cordoned);
    const node = await findNode(db, nodeId);
    if (!node) throw notFound('node');
    return { node: toWire(node) };
  };
  return {
    ...createDrains(deps),
    ...createNodeTokens(deps),
    ...createSwarmNodes(deps, toWire),
    cordonNode: ({ nodeId }) => cordon(nodeId, true),
    async uncordonNode({ nodeId }) {
      await workflows.stopDrain(nodeId);
      return await cordon(nodeId, false);
    },
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
    state: toWireNodeState(node),
    labels: { ...node.labels },
    cpuCores: node.cpuCores,
    memoryBytes: BigInt(node.memoryBytes),
    reservedCpuCores: node.reservedCpuCores,
    reservedMemoryBytes: BigInt(node.reservedMemoryBytes),
    replicas: node.replicas,
    diskNotice: node.diskNotice,
    dockerVersion: node.dockerVersion,
    architecture: node.architecture,
    nixpacksVersion: node.nixpacksVersion,
    lastSeenAt: timestampFromDate(node.lastSeenAt),
  };
}

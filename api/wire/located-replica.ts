import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { LocatedReplica, ReplicaFilter } from '../../adapters/postgres/located-replicas.ts';
import { ReplicaState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import type { ListReplicasRequest, LocatedReplicaSchema } from '../../gen/obiente/cloud/v1/replicas_pb.ts';
import { toWireReplica } from './deployment.ts';
import { toWireNodeState } from './node-state.ts';

const FROM_STATE: Record<ReplicaState, ReplicaFilter['state']> = {
  [ReplicaState.UNSPECIFIED]: undefined,
  [ReplicaState.STARTING]: 'starting',
  [ReplicaState.HEALTHY]: 'healthy',
  [ReplicaState.UNHEALTHY]: 'unhealthy',
  [ReplicaState.EXITED]: 'exited',
  [ReplicaState.REMOVING]: 'removing',
};

/** Takes off the wire which replicas are asked for, of an organization that the authorisation has named. */
export function fromWireFilter(
  {
    deploymentId,
    nodeId,
    hostname,
    state,
  }: Pick<ListReplicasRequest, 'deploymentId' | 'nodeId' | 'hostname' | 'state'>,
  organizationId: string | null,
): ReplicaFilter {
  return {
    organizationId,
    deploymentId: deploymentId.toLowerCase() || undefined,
    nodeId: nodeId || undefined,
    hostname: hostname.toLowerCase() || undefined,
    state: FROM_STATE[state],
  };
}

/** Puts a replica on the wire with where it is. */
export function toWireLocated(replica: LocatedReplica): MessageInitShape<typeof LocatedReplicaSchema> {
  const { nodeState: state, nodeCordoned: cordoned, nodeDraining: draining } = replica;
  return {
    replica: toWireReplica(replica),
    deploymentId: replica.deploymentId,
    deploymentName: replica.deploymentName,
    projectId: replica.projectId,
    organizationId: replica.organizationId,
    node: {
      id: replica.nodeId,
      hostname: replica.nodeHostname,
      state: toWireNodeState({ state, cordoned, draining }),
      labels: { ...replica.nodeLabels },
    },
    serving: replica.serving,
    stateSince: timestampFromDate(replica.stateSince),
  };
}

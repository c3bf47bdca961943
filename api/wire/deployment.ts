import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { DeploymentRecord } from '../../adapters/postgres/deployments.ts';
import type { ReplicaRecord, ReplicaStanding } from '../../adapters/postgres/replicas.ts';
import { type DeploymentStatus as DomainStatus, deriveStatus } from '../../domain/deployment-status.ts';
import {
  type DeploymentSchema,
  DeploymentStatus,
  type ReplicaSchema,
  ReplicaState,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import type { PublicAddress } from './address.ts';
import { toWireOperation } from './operation.ts';
import { toWireSpec } from './spec.ts';

const STATUS: Record<DomainStatus, DeploymentStatus> = {
  CREATED: DeploymentStatus.CREATED,
  BUILDING: DeploymentStatus.BUILDING,
  DEPLOYING: DeploymentStatus.DEPLOYING,
  RUNNING: DeploymentStatus.RUNNING,
  DEGRADED: DeploymentStatus.DEGRADED,
  STOPPED: DeploymentStatus.STOPPED,
  FAILED: DeploymentStatus.FAILED,
  DELETING: DeploymentStatus.DELETING,
};

const REPLICA_STATE: Record<ReplicaStanding['state'], ReplicaState> = {
  starting: ReplicaState.STARTING,
  healthy: ReplicaState.HEALTHY,
  unhealthy: ReplicaState.UNHEALTHY,
  exited: ReplicaState.EXITED,
  removing: ReplicaState.REMOVING,
};

/** Longest reason that a status carries; the operation has the whole message. */
const MAX_REASON_LENGTH = 4096;

/** Puts a deployment on the wire, its status derived from what runs. `now` is for how long something will take. */
export function toWireDeployment(
  record: DeploymentRecord<ReplicaStanding | ReplicaRecord>,
  address: PublicAddress,
  now: Date,
): MessageInitShape<typeof DeploymentSchema> {
  const { status, reason } = deriveStatus(record, now.getTime());
  return {
    id: record.id,
    organizationId: record.organizationId,
    projectId: record.projectId,
    name: record.name,
    status: STATUS[status],
    statusReason: reason.slice(0, MAX_REASON_LENGTH),
    spec: toWireSpec(wantedSpec(record), record.commit),
    revision: record.revision,
    servingRevision: record.serving?.revision ?? 0,
    imageDigest: record.serving?.imageDigest ?? '',
    urls: record.hostnames.map((hostname) => address.urlOf(hostname)),
    replicas: record.replicas.flatMap((replica) => ('nodeId' in replica ? [toWireReplica(replica)] : [])),
    operation: toWireOperation(record.operation),
    createdAt: timestampFromDate(record.createdAt),
    updatedAt: timestampFromDate(record.updatedAt),
    services: [...record.goal],
    stopped: record.stopped,
  };
}

/** The wanted revision's spec, with as many replicas as a scale has made of it since. */
function wantedSpec({ spec, revision, goal }: DeploymentRecord): DeploymentRecord['spec'] {
  const [only] = goal;
  return only && goal.length === 1 && only.revision === revision ? { ...spec, replicas: only.replicas } : spec;
}

/** Puts a replica on the wire. */
export function toWireReplica(replica: ReplicaRecord): MessageInitShape<typeof ReplicaSchema> {
  return {
    id: replica.replicaId,
    service: replica.service,
    revision: replica.revision,
    nodeId: replica.nodeId,
    containerId: replica.containerId ?? '',
    address: replica.address ? `${replica.address.host}:${replica.address.port}` : '',
    state: REPLICA_STATE[replica.state],
    ...(replica.exitCode === null ? {} : { exitCode: replica.exitCode }),
    imageDigest: replica.imageDigest ?? '',
    ...(replica.startedAt ? { startedAt: timestampFromDate(replica.startedAt) } : {}),
    restarts: replica.restarts,
    outOfMemory: replica.outOfMemory,
    ...(replica.nextRestartAt ? { nextRestartAt: timestampFromDate(replica.nextRestartAt) } : {}),
    gone: replica.gone,
    healthReason: replica.state === 'unhealthy' ? replica.healthReason : '',
  };
}

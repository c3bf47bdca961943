import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { DeploymentRecord } from '../../adapters/postgres/deployments.ts';
import type { DeploymentEventRecord } from '../../adapters/postgres/events.ts';
import type { OperationRecord } from '../../adapters/postgres/operations.ts';
import type { ReplicaRecord, ReplicaStanding } from '../../adapters/postgres/replicas.ts';
import { type DeploymentStatus as DomainStatus, deriveStatus } from '../../domain/deployment-status.ts';
import {
  type DeploymentEventSchema,
  type DeploymentSchema,
  DeploymentStatus,
  OperationKind,
  type OperationSchema,
  OperationState,
  type ReplicaSchema,
  ReplicaState,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import type { PublicAddress } from './address.ts';
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

const OPERATION_KIND: Record<OperationRecord['kind'], OperationKind> = {
  deploy: OperationKind.DEPLOY,
  remove: OperationKind.DELETE,
};

const OPERATION_STATE: Record<OperationRecord['state'], OperationState> = {
  queued: OperationState.QUEUED,
  running: OperationState.RUNNING,
  succeeded: OperationState.SUCCEEDED,
  failed: OperationState.FAILED,
  superseded: OperationState.SUPERSEDED,
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
    spec: toWireSpec(record.spec),
    revision: record.revision,
    servingRevision: record.serving?.revision ?? 0,
    imageDigest: record.serving?.imageDigest ?? '',
    urls: record.hostnames.map((hostname) => address.urlOf(hostname)),
    replicas: record.replicas.flatMap((replica) => ('nodeId' in replica ? [toWireReplica(replica)] : [])),
    operation: toWireOperation(record.operation),
    createdAt: timestampFromDate(record.createdAt),
    updatedAt: timestampFromDate(record.updatedAt),
  };
}

function toWireReplica(replica: ReplicaRecord): MessageInitShape<typeof ReplicaSchema> {
  return {
    id: replica.replicaId,
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
  };
}

/** Puts an operation on the wire. */
export function toWireOperation(operation: OperationRecord): MessageInitShape<typeof OperationSchema> {
  return {
    id: operation.id,
    kind: OPERATION_KIND[operation.kind],
    state: OPERATION_STATE[operation.state],
    revision: operation.revision,
    errorCode: operation.errorCode,
    errorMessage: operation.errorMessage,
    errorHint: operation.errorHint,
    createdAt: timestampFromDate(operation.createdAt),
    ...(operation.finishedAt ? { finishedAt: timestampFromDate(operation.finishedAt) } : {}),
  };
}

/** Puts an event on the wire. */
export function toWireEvent(event: DeploymentEventRecord): MessageInitShape<typeof DeploymentEventSchema> {
  return {
    at: timestampFromDate(event.at),
    operationId: event.operationId ?? '',
    kind: event.kind,
    message: event.message,
    replicaId: event.replicaId ?? '',
  };
}

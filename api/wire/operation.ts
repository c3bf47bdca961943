import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { DeploymentEventRecord } from '../../adapters/postgres/events.ts';
import type { OperationRecord } from '../../adapters/postgres/operations.ts';
import type { RevisionRecord } from '../../adapters/postgres/revisions.ts';
import {
  type DeploymentEventSchema,
  OperationKind,
  type OperationSchema,
  OperationState,
  type RevisionSchema,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { toWireSpec } from './spec.ts';

const OPERATION_KIND: Record<OperationRecord['kind'], OperationKind> = {
  deploy: OperationKind.DEPLOY,
  update: OperationKind.UPDATE,
  rollback: OperationKind.ROLLBACK,
  scale: OperationKind.SCALE,
  restart: OperationKind.RESTART,
  stop: OperationKind.STOP,
  start: OperationKind.START,
  heal: OperationKind.HEAL,
  move: OperationKind.MOVE,
  remove: OperationKind.DELETE,
};

const OPERATION_STATE: Record<OperationRecord['state'], OperationState> = {
  queued: OperationState.QUEUED,
  running: OperationState.RUNNING,
  waiting: OperationState.WAITING,
  succeeded: OperationState.SUCCEEDED,
  failed: OperationState.FAILED,
  cancelled: OperationState.CANCELLED,
  superseded: OperationState.SUPERSEDED,
};

/** Puts an operation on the wire. */
export function toWireOperation(operation: OperationRecord): MessageInitShape<typeof OperationSchema> {
  return {
    id: operation.id,
    deploymentId: operation.deploymentId,
    kind: OPERATION_KIND[operation.kind],
    state: OPERATION_STATE[operation.state],
    revision: operation.revision,
    actorUserId: operation.actorUserId,
    reason: operation.reason,
    waitsFor: operation.waitsFor,
    supersededBy: operation.supersededBy ?? '',
    scaleService: operation.scaleService ?? '',
    scaleReplicas: operation.scaleReplicas ?? 0,
    moveFrom: operation.moveFrom ?? '',
    moveTo: operation.moveTo ?? '',
    errorCode: operation.errorCode,
    errorMessage: operation.errorMessage,
    errorHint: operation.errorHint,
    createdAt: timestampFromDate(operation.createdAt),
    ...(operation.startedAt ? { startedAt: timestampFromDate(operation.startedAt) } : {}),
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
    actorUserId: event.actorUserId ?? '',
    details: Object.fromEntries(
      Object.entries(event.details).map(([name, value]) => [name, BigInt(Math.round(value))]),
    ),
  };
}

/** Puts a revision on the wire. */
export function toWireRevision(revision: RevisionRecord): MessageInitShape<typeof RevisionSchema> {
  return {
    number: revision.number,
    spec: toWireSpec(revision.spec, revision.commit),
    imageDigests: Object.fromEntries(revision.images.map(({ service, digest }) => [service, digest])),
    copyOf: revision.copyOf ?? 0,
    ...(revision.operation ? { operation: toWireOperation(revision.operation) } : {}),
    createdAt: timestampFromDate(revision.createdAt),
  };
}

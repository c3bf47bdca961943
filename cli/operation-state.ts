import { OperationState } from '../gen/obiente/cloud/v1/deployments_pb.ts';

const OPEN: ReadonlySet<OperationState> = new Set([
  OperationState.UNSPECIFIED,
  OperationState.QUEUED,
  OperationState.RUNNING,
  OperationState.WAITING,
]);

/** Whether nothing more happens to an operation. */
export function isOver(state: OperationState): boolean {
  return !OPEN.has(state);
}

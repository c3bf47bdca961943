import {
  ApplicationFailure,
  CancellationScope,
  condition,
  defineSignal,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { OPERATION_ENDED_SIGNAL, type PlainRequest, POWER_SIGNAL } from '../contracts/deployment.ts';
import type { SnapshotRecords } from '../contracts/volumes.ts';
import type { ErrorCode } from '../domain/errors.ts';
import { askedByPlatform, signalDeployment } from './ask-deployment.ts';

const endedSignal = defineSignal<[string]>(OPERATION_ENDED_SIGNAL);

/** For which snapshot, and on whose behalf. */
interface StopFor {
  readonly snapshotId: string;
  readonly volumeId: string;
  readonly actorUserId: string;
}

/** A writer of a volume that stands still for as long as somebody reads it. */
export interface WriterStop {
  /** Returns once nothing writes the volume. @throws STILL_USED (final) with the reason when that cannot be reached. */
  stop(): Promise<void>;
  /** @throws STILL_USED (final) when something of it was started since. */
  checkStillness(): Promise<void>;
  /** Starts what was stopped, unless somebody has said since what it shall be. Nobody waits for it. */
  startAgain(): Promise<void>;
}

/**
 * Stops what writes a volume by an operation of its deployment, which is carried out in its turn.
 *
 * The end is told by the deployment, however long that takes: an operation that waits in line is not given up, not even by
 * a cancel, or nobody would start again what it stops then.
 */
export function createWriterStop(
  records: Pick<SnapshotRecords, 'findWriter' | 'findEnd' | 'lookBack'>,
  { snapshotId, volumeId, actorUserId }: StopFor,
): WriterStop {
  const awaited = new Set<string>();
  setHandler(endedSignal, (operationId) => {
    awaited.delete(operationId);
  });
  const ask = async (kind: 'stop' | 'start', deploymentId: string, isTold: boolean): Promise<string | undefined> => {
    const identity = askedByPlatform(kind, `snapshot ${snapshotId}`);
    const told = isTold ? { tellWorkflowId: workflowInfo().workflowId } : {};
    const request: PlainRequest = { kind, ...identity, actorUserId, ...told };
    if (isTold) awaited.add(request.operationId);
    return (await signalDeployment(deploymentId, POWER_SIGNAL, request)) ? request.operationId : undefined;
  };
  let still: { readonly deploymentId: string; readonly sequence: number; readonly isOurs: boolean } | undefined;
  return {
    stop: async () => {
      const writer = await records.findWriter({ volumeId });
      if (!writer) return;
      const { deploymentId, sequence } = writer;
      if (!writer.runs) {
        still = { deploymentId, sequence, isOurs: false };
        return;
      }
      const operationId = await ask('stop', deploymentId, true);
      if (operationId === undefined) {
        // A deployment that has just been deleted writes no more.
        if ((await records.findWriter({ volumeId }))?.runs)
          throw refused('what writes the volume could not be asked to stop');
        return;
      }
      await CancellationScope.nonCancellable(() => condition(() => !awaited.has(operationId)));
      const end = await records.findEnd({ operationId });
      if (!end?.succeeded)
        throw refused(`what writes the volume could not be stopped: ${end?.error || 'it was refused'}`);
      still = { deploymentId, sequence: end.sequence, isOurs: true };
    },
    checkStillness: async () => {
      if (!still) return;
      const { stoodStill } = await records.lookBack(still);
      if (!stoodStill) throw refused('what writes the volume was started again meanwhile');
    },
    startAgain: async () => {
      if (!still?.isOurs) return;
      const { isToStart } = await records.lookBack(still);
      if (isToStart) await ask('start', still.deploymentId, false);
    },
  };
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'STILL_USED' satisfies ErrorCode,
    message,
    nonRetryable: true,
    details: [{ hint: 'Take the snapshot again.', field: '' }],
  });
}

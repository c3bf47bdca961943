import { condition, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import { MOVE_SIGNAL, type MoveRequest, OPERATION_ENDED_SIGNAL } from '../contracts/deployment.ts';
import type { Move } from '../domain/move.ts';
import { askedByPlatform, signalDeployment } from './ask-deployment.ts';

const endedSignal = defineSignal<[string]>(OPERATION_ENDED_SIGNAL);

/** How long one deployment is waited for: it may be busy with a build, or somebody may hold it. */
const LONGEST_MOVE_MS = 3_600_000;

/** One deployment to be moved. */
export interface WantedMove {
  readonly deploymentId: string;
  readonly move: Move;
}

/** How many are moved at a time, and what is done whenever one has come to its end. */
export interface Pace {
  readonly atOnce: number;
  onEnd(operationId: string): Promise<void>;
}

/** Moves deployments for the workflow that asks. */
export interface Moves {
  /** Asks each for an operation and waits for its end, however it ends; so many at a time. */
  run(wanted: readonly WantedMove[], of: Pace): Promise<void>;
}

/**
 * Listens for the ends of operations, which deployments tell.
 *
 * @param isOver whether nothing further is to be asked for; what is under way is waited for all the same.
 */
export function listenForEnds({ reason, isOver }: { reason: string; isOver: () => boolean }): Moves {
  const awaited = new Set<string>();
  setHandler(endedSignal, (operationId) => {
    awaited.delete(operationId);
  });
  const moveOne = async ({ deploymentId, move }: WantedMove): Promise<string> => {
    const tellWorkflowId = workflowInfo().workflowId;
    const request: MoveRequest = { kind: 'move', ...askedByPlatform('move', reason), move, tellWorkflowId };
    const { operationId } = request;
    awaited.add(operationId);
    if (await signalDeployment(deploymentId, MOVE_SIGNAL, request)) {
      await condition(() => !awaited.has(operationId), LONGEST_MOVE_MS);
    }
    awaited.delete(operationId);
    return operationId;
  };
  return {
    run: async (wanted, { atOnce, onEnd }) => {
      const waiting = [...wanted];
      const lane = async (): Promise<void> => {
        for (let next = waiting.shift(); next && !isOver(); next = waiting.shift()) {
          await onEnd(await moveOne(next));
        }
      };
      await Promise.all(Array.from({ length: atOnce }, lane));
    },
  };
}

import { type Client, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { DomainError, notFound } from '../../domain/errors.ts';

const { History } = proto.temporal.api.history.v1;

/** Which run of a deployment's workflow is asked for: the one that was at work at a moment. */
export interface HistoryWish {
  readonly deploymentId: string;
  readonly at: Date;
}

/** Reads histories of operations. */
export interface OperationHistories {
  /**
   * The encoded history of the run that was at work at that moment, as far as it has come. The server bounds a history to
   * 50 MiB; the workflow begins a new run long before.
   *
   * @throws NOT_FOUND when the server has forgotten it, WORKFLOWS_UNAVAILABLE
   */
  read(wish: HistoryWish): Promise<Uint8Array>;
}

/** Creates the reader over a Temporal client. */
export function createOperationHistories(client: Client): OperationHistories {
  return {
    read: async ({ deploymentId, at }) => {
      const workflowId = deploymentWorkflowId(deploymentId);
      try {
        const runId = await findRun(client, workflowId, at);
        if (runId === undefined) throw forgotten();
        return History.encode(await client.workflow.getHandle(workflowId, runId).fetchHistory()).finish();
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) throw forgotten();
        if (!isGrpcServiceError(error)) throw error;
        throw new DomainError('WORKFLOWS_UNAVAILABLE', 'the history cannot be read just now', { cause: error });
      }
    },
  };
}

/** A run goes on under another id when its history has become long. */
async function findRun(client: Client, workflowId: string, at: Date): Promise<string | undefined> {
  const query = `WorkflowId = '${workflowId}' AND StartTime <= '${at.toISOString()}'`;
  let newest: { readonly runId: string; readonly startTime: Date } | undefined;
  for await (const { runId, startTime } of client.workflow.list({ query })) {
    if (!newest || startTime > newest.startTime) newest = { runId, startTime };
  }
  return newest?.runId;
}

function forgotten(): DomainError {
  return notFound('history of the operation');
}

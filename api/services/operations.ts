import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { listSteps } from '../../adapters/postgres/events.ts';
import {
  findOperation,
  type ListedOperation,
  listOperations,
  type OperationRecord,
} from '../../adapters/postgres/operations.ts';
import type { OperationHistories } from '../../adapters/temporal/operation-history.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import type { Control } from '../../contracts/deployment.ts';
import { notFound } from '../../domain/errors.ts';
import type { OperationsService } from '../../gen/obiente/cloud/v1/operations_pb.ts';
import { getCaller } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { toWireEvent, toWireOperation } from '../wire/operation.ts';
import { readPage } from '../wire/page.ts';

/** What the service of operations needs. */
export interface OperationsDeps {
  readonly db: Database;
  readonly workflows: Pick<WorkflowGateway, 'control'>;
  readonly histories: OperationHistories;
}

/** Size of the pieces in which a history is sent. */
const CHUNK_BYTES = 256 * 1024;

/** Steps that one answer carries. */
const MOST_STEPS = 1_000;

/** Creates the service of operations. What a person says goes to the deployment's workflow, which is the one that acts. */
export function createOperationsService({
  db,
  workflows,
  histories,
}: OperationsDeps): ServiceImpl<typeof OperationsService> {
  const get = async (id: string): Promise<OperationRecord> => {
    const operation = await findOperation(db, id.toLowerCase());
    if (!operation) throw notFound('operation');
    return operation;
  };
  const say =
    (control: Control) =>
    async ({ idempotencyKey, operationId }: Said, context: HandlerContext) => {
      const { id, deploymentId, organizationId, projectId } = await get(operationId);
      const requestHash = hashRequest('Control', control, id);
      const { userId: actorUserId } = getCaller(context);
      const request = { control, operationId: id, idempotencyKey, requestHash, actorUserId };
      await workflows.control({ deploymentId, organizationId, projectId, request });
      return { operation: toWireOperation(await get(id)) };
    };
  return {
    cancelOperation: say('cancel'),
    pauseOperation: say('pause'),
    resumeOperation: say('resume'),
    approveOperation: say('approve'),
    async getOperation({ operationId }) {
      const operation = await get(operationId);
      const { deploymentId, id } = operation;
      const steps = await listSteps(db, { deploymentId, operationId: id, limit: MOST_STEPS });
      return { operation: toWireOperation(operation), steps: steps.map(toWireEvent) };
    },
    async *exportOperationHistory({ operationId }) {
      const { deploymentId, startedAt } = await get(operationId);
      if (!startedAt) throw notFound('history of the operation');
      const encoded = await histories.read({ deploymentId, at: startedAt });
      for (let from = 0; from < encoded.length; from += CHUNK_BYTES) {
        yield { chunk: encoded.subarray(from, from + CHUNK_BYTES) };
      }
    },
    async listOperations(request) {
      const deploymentId = request.deploymentId.toLowerCase();
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'operations', filters: [deploymentId] },
        forms: ['number'],
        keyOf: ({ sequence }: ListedOperation) => [String(sequence)],
        read: ({ limit, after }) => listOperations(db, { deploymentId, limit, before: after && Number(after[0]) }),
      });
      return { operations: rows.map(toWireOperation), page };
    },
  };
}

interface Said {
  readonly idempotencyKey: string;
  readonly operationId: string;
}

import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { DomainError } from '../../domain/errors.ts';
import { type Operation, OperationSchema } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import type { Api } from '../client.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { isOver } from '../operation-state.ts';
import { getDeployment, isId } from '../resolve.ts';
import { messageJson, words } from '../show.ts';

interface ControlOptions {
  readonly project?: string;
  readonly idempotencyKey?: string;
}

type Method = 'cancelOperation' | 'pauseOperation' | 'resumeOperation' | 'approveOperation';

const CONTROLS: readonly (readonly [command: string, method: Method, description: string])[] = [
  ['cancel', 'cancelOperation', 'cancel what is under way: what was before it is brought back'],
  ['pause', 'pauseOperation', 'let what is under way wait before its next step'],
  ['resume', 'resumeOperation', 'let a paused operation go on'],
  ['approve', 'approveOperation', 'approve what waits for a person, or for some time to pass'],
];

/** Adds `obiente cancel`, `pause`, `resume` and `approve`. */
export function addControl(program: Command, context: CliContext): void {
  for (const [command, method, description] of CONTROLS) {
    program
      .command(command)
      .description(description)
      .argument('<target>', 'name or id of a deployment, or id of an operation')
      .option('--project <name>', 'the project that the deployment belongs to')
      .option('--idempotency-key <key>', 'same key, same answer')
      .action(
        action<ControlOptions, [string]>(context, async (invocation, options, target) => {
          const api = await invocation.openApi();
          const { id: operationId } = await findTarget(api, invocation, { target, project: options.project });
          const idempotencyKey = options.idempotencyKey ?? randomUUID();
          const { operation } = await api.operations[method]({ idempotencyKey, operationId });
          if (operation === undefined) return;
          invocation.terminal.document(messageJson(OperationSchema, operation));
          const { kind, state, id } = operation;
          invocation.terminal.line(`${command}: ${words.kind(kind)} ${id} is ${words.operation(state)}`);
        }),
      );
  }
}

/** The operation itself, or the one that is under way of a deployment; the oldest of those that are not over. */
async function findTarget(
  api: Api,
  { organization }: Invocation,
  { target, project }: { target: string; project: string | undefined },
): Promise<Operation> {
  if (isId(target)) {
    const found = await api.operations.getOperation({ operationId: target }).catch(() => undefined);
    if (found?.operation) return found.operation;
  }
  const { id: deploymentId, name } = await getDeployment(api, { name: target, organization, project });
  const { operations } = await api.operations.listOperations({ deploymentId });
  const open = operations.findLast(({ state }) => !isOver(state));
  if (open) return open;
  throw new DomainError('OPERATION_ENDED', `nothing is under way on ${name}`, {
    hint: `Run "obiente history ${name}" to see what was.`,
  });
}

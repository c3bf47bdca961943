import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { Operation } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { OperationSchema } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import type { Api } from './client.ts';
import type { Invocation } from './invocation.ts';
import { createProgress } from './progress.ts';
import { parseDuration } from './quantities.ts';
import { getDeployment } from './resolve.ts';
import { messageJson } from './show.ts';
import { waitForOperation } from './wait-for-deploy.ts';

/** What every command takes that asks for an operation on a deployment that exists. */
export interface OperationOptions {
  readonly project?: string;
  readonly reason?: string;
  readonly supersede?: boolean;
  /** False with `--no-wait`. */
  readonly wait: boolean;
  readonly detach?: boolean;
  readonly timeout?: string;
  readonly idempotencyKey?: string;
}

/** Adds these options to a command. */
export function withOperationOptions(command: Command): Command {
  return withWaitOptions(
    command
      .option('--project <name>', 'the project that it belongs to')
      .option('-m, --reason <text>', 'why, for the history')
      .option('--supersede', 'cancel what is under way instead of waiting for its end'),
  );
}

/** Adds the options about waiting and repeating. */
export function withWaitOptions(command: Command): Command {
  return command
    .option('--no-wait', 'return as soon as the operation is stored')
    .option('--detach', 'the same as --no-wait')
    .option('--timeout <duration>', 'wait no longer than this, for example 10m')
    .option('--idempotency-key <key>', 'same key, same answer: makes repeating the command harmless');
}

/** What a request for an operation carries. */
export interface Asked {
  readonly idempotencyKey: string;
  readonly deploymentId: string;
  readonly reason: string;
  readonly supersedeRunning: boolean;
}

/** Asks for an operation, waits for its end unless told otherwise, and says how it ended. */
export async function operate(
  invocation: Invocation,
  { options, name, done }: { options: OperationOptions; name: string; done: (name: string) => string },
  ask: (api: Api, asked: Asked) => Promise<Operation | undefined>,
): Promise<void> {
  const { context, terminal, openApi, organization, signal } = invocation;
  const timeoutMs = options.timeout === undefined ? undefined : parseDuration('--timeout', options.timeout);
  const api = await openApi();
  const deployment = await getDeployment(api, { name, organization, project: options.project });
  const operation = await ask(api, {
    idempotencyKey: options.idempotencyKey ?? randomUUID(),
    deploymentId: deployment.id,
    reason: options.reason ?? '',
    supersedeRunning: options.supersede === true,
  });
  if (operation === undefined) return;
  const isWaiting = options.wait && options.detach !== true;
  if (isWaiting) {
    const progress = createProgress(terminal, context.stderr);
    const subject = { id: deployment.id, name: deployment.name, operation };
    try {
      await waitForOperation({ api, subject, progress, signal, timeoutMs });
    } finally {
      progress.stop();
    }
  }
  const ended = isWaiting ? (await api.operations.getOperation({ operationId: operation.id })).operation : undefined;
  terminal.document(messageJson(OperationSchema, ended ?? operation));
  terminal.line(isWaiting ? done(deployment.name) : `asked; follow it with "obiente operation ${operation.id}"`);
}

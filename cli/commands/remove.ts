import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { createProgress } from '../progress.ts';
import { parseDuration } from '../quantities.ts';
import { getDeployment } from '../resolve.ts';
import { waitForOperation } from '../wait-for-deploy.ts';

interface RemoveOptions {
  readonly project?: string;
  readonly wait: boolean;
  readonly detach?: boolean;
  readonly timeout?: string;
  readonly idempotencyKey?: string;
}

/** Adds `obiente rm`. */
export function addRemove(program: Command, context: CliContext): void {
  program
    .command('rm')
    .alias('remove')
    .description('delete a deployment with its replicas, networks, own images and routes')
    .argument('<name>', 'name or id of the deployment')
    .option('--project <name>', 'the project that it belongs to')
    .option('--no-wait', 'return as soon as the operation is stored')
    .option('--detach', 'the same as --no-wait')
    .option('--timeout <duration>', 'wait no longer than this, for example 10m')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(action<RemoveOptions, [string]>(context, remove));
}

async function remove(invocation: Invocation, options: RemoveOptions, name: string): Promise<void> {
  const { context, terminal, openApi, organization, signal } = invocation;
  const timeoutMs = options.timeout === undefined ? undefined : parseDuration('--timeout', options.timeout);
  const api = await openApi();
  const deployment = await getDeployment(api, { name, organization, project: options.project });
  const idempotencyKey = options.idempotencyKey ?? randomUUID();
  const { operation } = await api.deployments.deleteDeployment({ idempotencyKey, deploymentId: deployment.id });
  const isWaiting = options.wait && options.detach !== true;
  if (isWaiting && operation !== undefined) {
    const progress = createProgress(terminal, context.stderr);
    const subject = { id: deployment.id, name: deployment.name, operation };
    try {
      await waitForOperation({ api, subject, progress, signal, timeoutMs });
    } finally {
      progress.stop();
    }
  }
  terminal.document({
    id: deployment.id,
    name: deployment.name,
    deleted: isWaiting,
    operationId: operation?.id ?? null,
  });
  terminal.line(isWaiting ? `deleted ${deployment.name}` : `deleting ${deployment.name}`);
}

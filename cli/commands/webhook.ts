import { randomUUID } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Command } from 'commander';
import { type Webhook, WebhookSchema } from '../../gen/obiente/cloud/v1/webhooks_pb.ts';
import type { Api } from '../client.ts';
import { refuse } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { getDeployment } from '../resolve.ts';
import { age, messageJson } from '../show.ts';

interface WebhookOptions {
  readonly project?: string;
  readonly rotate?: boolean;
  readonly remove?: boolean;
  readonly idempotencyKey?: string;
}

/** Adds `obiente webhook`. */
export function addWebhook(program: Command, context: CliContext): void {
  program
    .command('webhook')
    .description('deploy at every push: make or show the webhook of a deployment, for its Git server')
    .argument('<name>', 'name or id of the deployment')
    .option('--project <name>', 'the project that it belongs to')
    .option('--rotate', 'give it another secret; its address stays')
    .option('--remove', 'remove it')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(action<WebhookOptions, [string]>(context, webhookCommand));
}

async function webhookCommand(invocation: Invocation, options: WebhookOptions, name: string): Promise<void> {
  const { openApi, organization, terminal } = invocation;
  const { project, rotate, remove } = options;
  if (rotate && remove) throw refuse('--rotate', 'only one of --rotate and --remove is possible');
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project });
  const asked = { idempotencyKey: options.idempotencyKey ?? randomUUID(), deploymentId };
  if (remove) {
    await api.webhooks.deleteWebhook(asked);
    terminal.document({ deleted: deploymentId });
    return terminal.line(`removed the webhook of ${plainText(name)}`);
  }
  const { webhook, secret } = rotate ? await api.webhooks.rotateWebhook(asked) : await findOrCreate(api, asked);
  if (webhook === undefined) return;
  const url = `${api.url}${webhook.path}`;
  terminal.document({ ...(messageJson(WebhookSchema, webhook) as object), url, secret: secret === '' ? null : secret });
  for (const [label, value] of facts(webhook, url, secret)) {
    terminal.line(`${terminal.paint.dim(label.padEnd(10))}${value}`);
  }
  if (secret === '') terminal.note('the secret was shown when it was made; --rotate makes another one');
}

function facts(webhook: Webhook, url: string, secret: string): readonly (readonly [string, string])[] {
  const { lastDeliveryAt, lastAnswer } = webhook;
  const last = lastDeliveryAt === undefined ? 'never' : `${age(lastDeliveryAt)} ago: ${plainText(lastAnswer)}`;
  return [
    ['url', plainText(url)],
    ['content', 'application/json, push events'],
    ...(secret === '' ? [] : [['secret', plainText(secret)] as const]),
    ['delivered', last],
  ];
}

async function findOrCreate(api: Api, asked: { idempotencyKey: string; deploymentId: string }) {
  try {
    return { ...(await api.webhooks.getWebhook({ deploymentId: asked.deploymentId })), secret: '' };
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.NotFound) throw error;
    return await api.webhooks.createWebhook(asked);
  }
}

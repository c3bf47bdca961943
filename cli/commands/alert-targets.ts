import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { invalidArgument } from '../../domain/errors.ts';
import { type NotificationTarget, NotificationTargetSchema } from '../../gen/obiente/cloud/v1/alerts_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { parseWhole } from '../quantities.ts';
import { readSecret } from '../read-secret.ts';
import { getOrganization } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

interface AddOptions {
  readonly webhook?: string;
  readonly smtp?: string;
  readonly starttls?: boolean;
  readonly username?: string;
  readonly from?: string;
  readonly to?: readonly string[];
}

interface PlatformOptions {
  readonly off?: boolean;
}

/** Adds `obiente alerts targets` with `list`, `add`, `remove`, `test` and `platform`. */
export function addAlertTargets(alerts: Command, context: CliContext): void {
  const targets = alerts.command('targets').description('say where alerts of the organization are told');
  targets
    .command('list', { isDefault: true })
    .alias('ls')
    .description('list the targets, and how their deliveries go')
    .action(
      action<object, []>(context, async ({ openApi, organization, terminal }) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const { targets: found } = await api.alerts.listNotificationTargets({ organizationId });
        terminal.document(found.map((target) => messageJson(NotificationTargetSchema, target)));
        terminal.line(found.length === 0 ? 'nobody is told of alerts yet' : table(terminal, COLUMNS, found));
      }),
    );
  targets
    .command('add')
    .description('add a target; its secret or password is asked for, or read from standard input')
    .argument('<name>', 'name of the target')
    .option('--webhook <url>', 'tell a webhook: requests are signed with the secret')
    .option('--smtp <host:port>', 'send mails by this server, with TLS')
    .option('--starttls', 'begin in clear text and change to TLS before anything is said')
    .option('--username <name>', 'name to sign in to the mail server with')
    .option('--from <address>', 'whom mails are from')
    .option('--to <address...>', 'whom they go to')
    .action(
      action<AddOptions, [string]>(context, async ({ openApi, organization, terminal }, options, name) => {
        const needsSecret = options.webhook !== undefined || options.username !== undefined;
        const secret = needsSecret ? await readSecret(context, `secret of ${name}`) : '';
        const target = targetOf(options, secret);
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const request = { idempotencyKey: randomUUID(), organizationId, name, target };
        const { target: added } = await api.alerts.createNotificationTarget(request);
        if (!added) return;
        terminal.document(messageJson(NotificationTargetSchema, added));
        terminal.line(`added ${name}; "obiente alerts targets test ${name}" sends a test`);
      }),
    );
  targets
    .command('remove')
    .alias('rm')
    .description('remove a target; what is on its way there is dropped')
    .argument('<name>', 'name of the target')
    .action(
      action<object, [string]>(context, async ({ openApi, organization, terminal }, _options, name) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        await api.alerts.deleteNotificationTarget({ organizationId, name });
        terminal.document({ removed: name });
        terminal.line(`removed ${name}`);
      }),
    );
  targets
    .command('test')
    .description('send a test to a target')
    .argument('<name>', 'name of the target')
    .action(
      action<object, [string]>(context, async ({ openApi, organization, terminal }, _options, name) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const request = { idempotencyKey: randomUUID(), organizationId, name };
        const { notificationId } = await api.alerts.testNotificationTarget(request);
        terminal.document({ notificationId });
        terminal.line(`a test is on its way; "obiente alerts targets" says how it went`);
      }),
    );
  targets
    .command('platform')
    .description('for operators: tell alerts of the platform itself at a target as well')
    .argument('<name>', 'name of the target')
    .option('--off', 'do not any more')
    .action(
      action<PlatformOptions, [string]>(context, async ({ openApi, organization, terminal }, { off }, name) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const platform = off !== true;
        const { target } = await api.alerts.setPlatformTarget({ organizationId, name, platform });
        if (target) terminal.document(messageJson(NotificationTargetSchema, target));
        terminal.line(`alerts of the platform are ${platform ? '' : 'not '}told at ${name}`);
      }),
    );
}

const COLUMNS: readonly Column<NotificationTarget>[] = [
  { heading: 'NAME', cell: ({ name }) => name },
  { heading: 'KIND', cell: ({ kind }) => kind },
  { heading: 'LEADS TO', cell: ({ leadsTo }) => leadsTo },
  { heading: 'PLATFORM', cell: ({ platform }) => (platform ? 'yes' : 'no') },
  { heading: 'DELIVERED', cell: ({ deliveredAt }) => age(deliveredAt), isNumber: true },
  { heading: 'WAITING', cell: ({ waiting }) => `${waiting}`, isNumber: true },
  { heading: 'FAILED', cell: ({ failed }) => `${failed}`, isNumber: true },
  { heading: 'LAST ERROR', cell: ({ lastError }) => lastError || '-' },
];

function targetOf(options: AddOptions, secret: string) {
  const { webhook, smtp } = options;
  if ((webhook === undefined) === (smtp === undefined)) {
    throw invalidArgument('--webhook', 'found both or none of --webhook and --smtp', 'one of them');
  }
  if (webhook !== undefined) return { case: 'webhook', value: { url: webhook, secret } } as const;
  const { username = '', from = '', to = [], starttls } = options;
  const [, host, portText] = /^(.+):(\d{1,5})$/.exec(smtp ?? '') ?? [];
  if (host === undefined || portText === undefined) {
    throw invalidArgument('--smtp', `found ${JSON.stringify(smtp)}`, 'host:port, for example mail.example.com:465');
  }
  const port = parseWhole('--smtp', portText, { min: 1, max: 65_535 });
  const value = { host, port, tls: starttls !== true, username, password: secret, from, to: [...to] };
  return { case: 'smtp', value } as const;
}

import { randomUUID } from 'node:crypto';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { showValue } from '../../domain/alerts/notification.ts';
import {
  type Alert,
  AlertSchema,
  AlertSeverity,
  AlertState,
  type Silence,
  SilenceSchema,
} from '../../gen/obiente/cloud/v1/alerts_pb.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { parseDuration, parseWhole } from '../quantities.ts';
import { getDeployment, getOrganization } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';
import { addAlertRules } from './alert-rules.ts';
import { addAlertTargets } from './alert-targets.ts';

interface ScopeOptions {
  /** Those of all organizations and of the platform. */
  readonly all?: boolean;
}

interface ListOptions extends ScopeOptions {
  readonly limit?: string;
}

interface SilenceOptions extends ScopeOptions {
  readonly rule?: string;
  readonly deployment?: string;
  readonly project?: string;
  readonly node?: string;
  readonly for: string;
  readonly reason?: string;
}

const ALL = '--all';
const ALL_TEXT = 'for operators: of all organizations and of the platform';

/** Adds `obiente alerts` with what fires, what has fired, silences, rules and targets. */
export function addAlerts(program: Command, context: CliContext): void {
  const alerts = program.command('alerts').description('show what is wrong, and say who is told of it and when');
  alerts
    .command('list', { isDefault: true })
    .alias('ls')
    .description('list the alerts that fire')
    .option(ALL, ALL_TEXT)
    .action(action<ListOptions, []>(context, (invocation, options) => list(invocation, options, false)));
  alerts
    .command('history')
    .description('list the newest alerts, those that have ended as well')
    .option(ALL, ALL_TEXT)
    .option('--limit <count>', 'how many at most (default: 50)')
    .action(action<ListOptions, []>(context, (invocation, options) => list(invocation, options, true)));
  alerts
    .command('watch')
    .description('follow alerts as they fire and resolve, until interrupted')
    .option(ALL, ALL_TEXT)
    .action(action<ScopeOptions, []>(context, watch));
  alerts
    .command('silence')
    .description('keep notifications back for a while; what still fires then is told then')
    .requiredOption('--for <duration>', 'for how long, for example 2h; at most 744h')
    .option('--rule <name>', 'only of this rule')
    .option('--deployment <name>', 'only of this deployment')
    .option('--project <name>', 'the project of that deployment')
    .option('--node <id>', 'for operators: only of this node')
    .option('--reason <text>', 'why, for people')
    .option(ALL, ALL_TEXT)
    .action(action<SilenceOptions, []>(context, silence));
  alerts
    .command('silences')
    .description('list the silences that hold')
    .option(ALL, ALL_TEXT)
    .action(action<ScopeOptions, []>(context, listSilences));
  alerts
    .command('unsilence')
    .description('end a silence')
    .argument('<id>', 'id of the silence')
    .option(ALL, ALL_TEXT)
    .action(
      action<ScopeOptions, [string]>(context, async (invocation, options, silenceId) => {
        const api = await invocation.openApi();
        await api.alerts.deleteSilence({ ...(await scopeOf(invocation, options)), silenceId });
        invocation.terminal.document({ ended: silenceId });
        invocation.terminal.line('the silence has ended; what still fires is told');
      }),
    );
  addAlertRules(alerts, context);
  addAlertTargets(alerts, context);
}

async function scopeOf({ openApi, organization }: Invocation, { all }: ScopeOptions) {
  if (all) return { organizationId: '' };
  return { organizationId: (await getOrganization(await openApi(), organization)).id };
}

const COLUMNS: readonly Column<Alert>[] = [
  { heading: 'RULE', cell: ({ rule }) => rule },
  { heading: 'OF', cell: ({ deploymentName, nodeId }) => deploymentName || `node ${nodeId}` },
  { heading: 'SEVERITY', cell: ({ severity }) => (severity === AlertSeverity.CRITICAL ? 'critical' : 'warning') },
  { heading: 'STATE', cell: stateOf },
  { heading: 'VALUE', cell: ({ value, unit }) => showValue(value, unit), isNumber: true },
  { heading: 'SINCE', cell: ({ firedAt }) => age(firedAt), isNumber: true },
  { heading: 'WHAT', cell: ({ summary }) => summary },
];

function stateOf({ state, noDataSince, silenced, resolution }: Alert): string {
  if (state === AlertState.RESOLVED) return resolution === 'cleared' ? 'resolved' : `resolved: ${resolution}`;
  const notes = [...(silenced ? ['silenced'] : []), ...(noDataSince ? [`no data for ${age(noDataSince)}`] : [])];
  return notes.length === 0 ? 'firing' : `firing, ${notes.join(', ')}`;
}

const LIMIT = { min: 1, max: 10_000 };

async function list(invocation: Invocation, options: ListOptions, history: boolean): Promise<void> {
  const { openApi, terminal } = invocation;
  const limit = options.limit === undefined ? 50 : parseWhole('--limit', options.limit, LIMIT);
  const api = await openApi();
  const scope = await scopeOf(invocation, options);
  const found = history
    ? (await api.alerts.listAlerts({ ...scope, history, page: { size: Math.min(limit, 200) } })).alerts
    : await allPages(async (page) => {
        const answer = await api.alerts.listAlerts({ ...scope, history, page });
        return { items: answer.alerts, page: answer.page };
      });
  terminal.document(found.map((alert) => messageJson(AlertSchema, alert)));
  const nothing = history ? 'nothing has been wrong in the last 90 days' : 'nothing is wrong';
  terminal.line(found.length === 0 ? nothing : table(terminal, COLUMNS, found));
}

async function watch(invocation: Invocation, options: ScopeOptions): Promise<void> {
  const { openApi, terminal, signal } = invocation;
  const api = await openApi();
  const scope = await scopeOf(invocation, options);
  for await (const { alert } of api.alerts.watchAlerts(scope, { signal })) {
    if (!alert) continue;
    terminal.document(messageJson(AlertSchema, alert));
    const of = alert.deploymentName || `node ${alert.nodeId}`;
    terminal.line(`${stateOf(alert)}  ${alert.rule}  ${of}  ${showValue(alert.value, alert.unit)}  ${alert.summary}`);
  }
}

async function silence(invocation: Invocation, options: SilenceOptions): Promise<void> {
  const { openApi, organization, terminal } = invocation;
  const api = await openApi();
  const forMs = parseDuration('--for', options.for);
  const { deployment: name, project } = options;
  const deployment = name === undefined ? undefined : await getDeployment(api, { name, organization, project });
  const request = {
    ...{ idempotencyKey: randomUUID(), ...(await scopeOf(invocation, options)) },
    ...{ rule: options.rule ?? '', nodeId: options.node ?? '', reason: options.reason ?? '' },
    deploymentId: deployment?.id ?? '',
    until: timestampFromDate(new Date(Date.now() + forMs)),
  };
  const { silence: made } = await api.alerts.createSilence(request);
  if (!made) return;
  terminal.document(messageJson(SilenceSchema, made));
  terminal.line(`silenced for ${options.for}; "obiente alerts unsilence ${made.id}" ends it`);
}

const SILENCES: readonly Column<Silence>[] = [
  { heading: 'ID', cell: ({ id }) => id },
  { heading: 'RULE', cell: ({ rule }) => rule || 'any' },
  { heading: 'DEPLOYMENT', cell: ({ deploymentId }) => deploymentId || 'any' },
  { heading: 'NODE', cell: ({ nodeId }) => nodeId || 'any' },
  { heading: 'UNTIL', cell: ({ until }) => (until ? new Date(Number(until.seconds) * 1_000).toISOString() : '-') },
  { heading: 'REASON', cell: ({ reason }) => reason || '-' },
];

async function listSilences(invocation: Invocation, options: ScopeOptions): Promise<void> {
  const api = await invocation.openApi();
  const { silences } = await api.alerts.listSilences(await scopeOf(invocation, options));
  const { terminal } = invocation;
  terminal.document(silences.map((one) => messageJson(SilenceSchema, one)));
  terminal.line(silences.length === 0 ? 'nothing is silenced' : table(terminal, SILENCES, silences));
}

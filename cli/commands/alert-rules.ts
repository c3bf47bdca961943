import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { showValue } from '../../domain/alerts/notification.ts';
import { invalidArgument } from '../../domain/errors.ts';
import { type AlertRule, AlertRuleSchema, AlertSeverity } from '../../gen/obiente/cloud/v1/alerts_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { parseDuration, showSpan } from '../quantities.ts';
import { getDeployment } from '../resolve.ts';
import { messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

interface PlaceOptions {
  readonly project?: string;
}

interface SetOptions extends PlaceOptions {
  readonly fireAt?: string;
  readonly clearAt?: string;
  readonly for?: string;
  readonly off?: boolean;
}

/** Adds `obiente alerts rules` with `list`, `set` and `reset`. */
export function addAlertRules(alerts: Command, context: CliContext): void {
  const rules = alerts.command('rules').description('show and set the rules of a deployment');
  rules
    .command('list', { isDefault: true })
    .description('list the rules as they are for a deployment')
    .argument('<deployment>', 'name or id')
    .option('--project <name>', 'its project')
    .action(
      action<PlaceOptions, [string]>(context, async ({ openApi, organization, terminal }, { project }, name) => {
        const api = await openApi();
        const { id: deploymentId } = await getDeployment(api, { name, organization, project });
        const { rules: found } = await api.alerts.listAlertRules({ deploymentId });
        terminal.document(found.map((rule) => messageJson(AlertRuleSchema, rule)));
        terminal.line(table(terminal, COLUMNS, found));
      }),
    );
  rules
    .command('set')
    .description('set a rule for a deployment; what is left out is as it is built in')
    .argument('<deployment>', 'name or id')
    .argument('<rule>', 'name of the rule, for example cpu')
    .option('--fire-at <value>', 'from this value on it fires')
    .option('--clear-at <value>', 'beyond this value it resolves')
    .option('--for <duration>', 'how long it must be so, for example 5m; at most 24h')
    .option('--off', 'do not evaluate it')
    .option('--project <name>', 'its project')
    .action(
      action<SetOptions, [string, string]>(
        context,
        async ({ openApi, organization, terminal }, options, name, rule) => {
          const [fireAt, clearAt] = [number('--fire-at', options.fireAt), number('--clear-at', options.clearAt)];
          const forMs = options.for === undefined ? undefined : parseDuration('--for', options.for);
          const api = await openApi();
          const { id } = await getDeployment(api, { name, organization, project: options.project });
          const answer = await api.alerts.setAlertRule({
            ...{ deploymentId: id, rule, disabled: options.off === true },
            ...(fireAt === undefined ? {} : { fireAt }),
            ...(clearAt === undefined ? {} : { clearAt }),
            ...(forMs === undefined ? {} : { for: durationFromMs(forMs) }),
          });
          show(terminal, answer.rule);
        },
      ),
    );
  rules
    .command('reset')
    .description('make a rule for a deployment what it is built in as')
    .argument('<deployment>', 'name or id')
    .argument('<rule>', 'name of the rule')
    .option('--project <name>', 'its project')
    .action(
      action<PlaceOptions, [string, string]>(
        context,
        async ({ openApi, organization, terminal }, { project }, name, rule) => {
          const api = await openApi();
          const { id: deploymentId } = await getDeployment(api, { name, organization, project });
          show(terminal, (await api.alerts.resetAlertRule({ deploymentId, rule })).rule);
        },
      ),
    );
}

const COLUMNS: readonly Column<AlertRule>[] = [
  { heading: 'RULE', cell: ({ name }) => name },
  { heading: 'ON', cell: ({ enabled }) => (enabled ? 'yes' : 'no') },
  { heading: 'SEVERITY', cell: ({ severity }) => (severity === AlertSeverity.CRITICAL ? 'critical' : 'warning') },
  { heading: 'FIRES', cell: ({ below, fireAt, unit }) => threshold(below ? '≤' : '≥', fireAt, unit), isNumber: true },
  {
    heading: 'CLEARS',
    cell: ({ below, clearAt, unit }) => threshold(below ? '>' : '<', clearAt, unit),
    isNumber: true,
  },
  { heading: 'FOR', cell: (rule) => (rule.for ? showSpan(durationMs(rule.for)) : '-'), isNumber: true },
  { heading: 'SET HERE', cell: ({ customized }) => (customized ? 'yes' : 'no') },
  { heading: 'WHAT', cell: ({ summary }) => summary },
];

function threshold(sign: string, value: number, unit: string): string {
  return unit === 'state' ? '-' : `${sign} ${showValue(value, unit)}`;
}

function show(terminal: Terminal, rule: AlertRule | undefined): void {
  if (!rule) return;
  terminal.document(messageJson(AlertRuleSchema, rule));
  terminal.line(table(terminal, COLUMNS, [rule]));
}

function number(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}(\.\d{1,6})?$/.test(text)) return Number(text);
  throw invalidArgument(field, `found ${JSON.stringify(text.slice(0, 40))}`, 'a number such as 90 or 2.5');
}

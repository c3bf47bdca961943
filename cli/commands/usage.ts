import type { Command } from 'commander';
import {
  type DeploymentUsage,
  GetUsageResponseSchema,
  type MonthUsage,
  type UsageSums,
} from '../../gen/obiente/cloud/v1/usage_pb.ts';
import { cell } from '../csv.ts';
import { refuse } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { showBytes } from '../quantities.ts';
import { getOrganization } from '../resolve.ts';
import { messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

interface UsageOptions {
  readonly month?: string;
  readonly deployment?: string;
  readonly csv?: boolean;
}

/** Adds `obiente usage`. */
export function addUsage(program: Command, context: CliContext): void {
  program
    .command('usage')
    .description('show what the deployments of the organization used in a month of UTC')
    .option('--month <month>', 'the month, such as 2026-11, or a range such as 2026-09..2026-11 (default: this one)')
    .option('--deployment <name>', 'only deployments of this name or id, those that are gone included')
    .option('--csv', 'print exact sums as comma-separated values')
    .action(action<UsageOptions, []>(context, showUsage));
}

async function showUsage(invocation: Invocation, options: UsageOptions): Promise<void> {
  const { openApi, organization, terminal } = invocation;
  const range = parseMonths(options.month);
  const api = await openApi();
  const { id: organizationId } = await getOrganization(api, organization);
  const answer = await api.usage.getUsage({ organizationId, ...range, deployment: options.deployment ?? '' });
  terminal.document(messageJson(GetUsageResponseSchema, answer));
  if (options.csv === true) for (const line of toCsv(answer.months)) terminal.line(line);
  else terminal.line(answer.months.map((month) => monthView(terminal, month)).join('\n\n'));
  for (const { month, incomplete } of answer.months) {
    if (incomplete) terminal.note(`${plainText(month)} is incomplete: hours are not kept for so long`);
  }
}

/** Reads `--month`; which months there are is for the platform to say. */
function parseMonths(text = ''): { firstMonth: string; lastMonth: string } {
  const [firstMonth = '', lastMonth = firstMonth, ...more] = text.split('..');
  const isRange = [firstMonth, lastMonth].every((month) => /^\d{4}-\d{2}$/.test(month)) && more.length === 0;
  if (text === '' || isRange) return { firstMonth, lastMonth };
  throw refuse('--month', `"${text}" is no month; allowed are for example 2026-11 and 2026-09..2026-11`);
}

type Row = Pick<DeploymentUsage, 'name' | 'usage'>;

function monthView(terminal: Terminal, { month, total, deployments }: MonthUsage): string {
  const title = terminal.paint.bold(plainText(month));
  if (deployments.length === 0) return `${title}\nnothing was used`;
  const rows: Row[] = deployments.map(({ name, gone, usage }) => row(gone ? `${name} (gone)` : name, usage));
  return `${title}\n${table(terminal, COLUMNS, [...rows, row('total', total)])}`;
}

function row(name: string, usage: UsageSums | undefined): Row {
  return usage ? { name, usage } : { name };
}

const SECONDS_PER_HOUR = 3600;

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'DEPLOYMENT', cell: ({ name }) => name },
  column('CPU (CORE H)', ({ cpuCoreSeconds }) => inHours(cpuCoreSeconds)),
  column('MEMORY (GIB H)', ({ memoryByteSeconds }) => inHours(String(Number(memoryByteSeconds) / 1024 ** 3))),
  column('IN', ({ networkReceiveBytes }) => showBytes(Number(networkReceiveBytes))),
  column('OUT', ({ networkTransmitBytes }) => showBytes(Number(networkTransmitBytes))),
  column('READ', ({ diskReadBytes }) => showBytes(Number(diskReadBytes))),
  column('WRITTEN', ({ diskWriteBytes }) => showBytes(Number(diskWriteBytes))),
  column('UPTIME (H)', ({ uptimeSeconds }) => inHours(uptimeSeconds)),
];

function column(heading: string, show: (usage: UsageSums) => string): Column<Row> {
  return { heading, cell: ({ usage }) => (usage ? show(usage) : '-'), isNumber: true };
}

/** Seconds as hours for people; exact ones are in CSV and JSON. */
function inHours(seconds: string): string {
  return (Number(seconds) / SECONDS_PER_HOUR).toFixed(2);
}

const SUMS = {
  cpu_core_seconds: 'cpuCoreSeconds',
  memory_byte_seconds: 'memoryByteSeconds',
  network_receive_bytes: 'networkReceiveBytes',
  network_transmit_bytes: 'networkTransmitBytes',
  disk_read_bytes: 'diskReadBytes',
  disk_write_bytes: 'diskWriteBytes',
  uptime_seconds: 'uptimeSeconds',
} as const satisfies Record<string, keyof UsageSums>;

/** A line a month and deployment, with exact sums. */
function toCsv(months: readonly MonthUsage[]): readonly string[] {
  const header = ['month', 'deployment_id', 'deployment', ...Object.keys(SUMS)].join(',');
  const lines = months.flatMap(({ month, deployments }) =>
    deployments.map(({ deploymentId, name, usage }) => {
      const sums = Object.values(SUMS).map((sum) => cell(usage?.[sum]));
      return [cell(month), cell(deploymentId), cell(name), ...sums].join(',');
    }),
  );
  return [header, ...lines];
}

import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import {
  type MetricsPeriod,
  type MetricsRetention,
  MetricsRetentionSchema,
} from '../../gen/obiente/cloud/v1/usage_pb.ts';
import type { Api } from '../client.ts';
import { refuse } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { parseDuration } from '../quantities.ts';
import { getOrganization, isId } from '../resolve.ts';
import { messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

interface RetentionOptions {
  readonly minutes?: string;
  readonly hours?: string;
  readonly reset?: boolean;
}

/** Adds `obiente metrics retention`. */
export function addMetricsRetention(metrics: Command, context: CliContext): void {
  metrics
    .command('retention')
    .description('show for how long metrics of the organization are kept; operators of the platform set it')
    .option('--minutes <duration>', 'keep rows by the minute for so long: whole hours, such as 48h, up to 720h')
    .option('--hours <duration>', 'keep sums by the hour for so long: whole hours, such as 400d, up to 87600h')
    .option('--reset', "have the platform's periods hold again")
    .action(action<RetentionOptions, []>(context, showOrSet));
}

async function showOrSet(invocation: Invocation, options: RetentionOptions): Promise<void> {
  const { minutes, hours, reset } = options;
  const [isSet, isReset] = [minutes !== undefined || hours !== undefined, reset === true];
  if (isSet && isReset) throw refuse('--reset', 'it is not allowed with --minutes or --hours');
  const periods = {
    ...(minutes === undefined ? {} : { minutes: durationFromMs(parseDuration('--minutes', minutes)) }),
    ...(hours === undefined ? {} : { hours: durationFromMs(parseDuration('--hours', hours)) }),
  };
  const { openApi, organization, terminal } = invocation;
  const api = await openApi();
  const organizationId = await organizationOf(api, organization);
  const { retention } = isSet
    ? await api.usage.setMetricsRetention({ organizationId, ...periods })
    : await (isReset
        ? api.usage.resetMetricsRetention({ organizationId })
        : api.usage.getMetricsRetention({ organizationId }));
  if (!retention) return;
  terminal.document(messageJson(MetricsRetentionSchema, retention));
  terminal.line(table(terminal, COLUMNS, toRows(retention)));
}

/** An operator names organizations of others by their id. */
async function organizationOf(api: Api, organization: string | undefined): Promise<string> {
  if (organization !== undefined && isId(organization)) return organization;
  return (await getOrganization(api, organization)).id;
}

interface Row {
  readonly what: string;
  readonly period: MetricsPeriod | undefined;
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'WHAT', cell: ({ what }) => what },
  { heading: 'KEPT FOR', cell: ({ period }) => showPeriod(period?.keep), isNumber: true },
  { heading: 'SET BY', cell: ({ period }) => (period?.own ? 'the organization’s own' : 'the platform') },
  { heading: 'PLATFORM', cell: ({ period }) => showPeriod(period?.default), isNumber: true },
];

function toRows({ minutes, hours }: MetricsRetention): readonly Row[] {
  return [
    { what: 'minutes', period: minutes },
    { what: 'hours', period: hours },
  ];
}

const HOUR_MS = 3_600_000;

/** In days where it is some whole ones, else in hours. */
function showPeriod(period: MetricsPeriod['keep']): string {
  if (period === undefined) return '-';
  const hours = durationMs(period) / HOUR_MS;
  return hours % 24 === 0 && hours > 48 ? `${hours / 24} d` : `${Math.round(hours * 100) / 100} h`;
}

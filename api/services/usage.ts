import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, durationFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { listMeteredDeployments, type MeteredDeployment } from '../../adapters/postgres/metered-deployments.ts';
import { readOwnHours, resetOwnHours, setOwnHours } from '../../adapters/postgres/metrics-periods.ts';
import type { MetricsReader, MonthlyUsage } from '../../adapters/timescale/metrics-reader.ts';
import { DomainError, invalidArgument, notFound } from '../../domain/errors.ts';
import { inUnits, monthOf, planMonths, sumUsage, USAGE_KINDS, type Usage } from '../../domain/metrics/monthly-usage.ts';
import {
  assertMinutesGoFirst,
  type MetricsPeriodKind,
  type OwnHours,
  type PlatformPeriods,
  periodsInForce,
  toKeepHours,
} from '../../domain/metrics/retention.ts';
import type {
  MetricsRetentionSchema,
  MonthUsageSchema,
  SetMetricsRetentionRequest,
  UsageService,
  UsageSumsSchema,
} from '../../gen/obiente/cloud/v1/usage_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';

/** Deployments that one answer tells of at most, counted anew in each month. */
const MAX_ROWS = 20_000;

/** What the service of usage needs. */
export interface UsageDeps {
  readonly db: Database;
  readonly usage: Pick<MetricsReader, 'listMonthlyUsage'>;
  /** The platform's periods. */
  readonly metricsPeriods: PlatformPeriods;
  readonly now: () => Date;
}

/** Creates the service of usage. */
export function createUsageService({ db, usage, metricsPeriods, now }: UsageDeps): ServiceImpl<typeof UsageService> {
  return {
    async getUsage({ firstMonth, lastMonth, deployment }, context) {
      const organizationId = getCallerOrganization(context);
      const months = planMonths({ first: firstMonth, last: lastMonth }, now().getTime());
      const [metered, own] = await Promise.all([
        listMeteredDeployments(db, organizationId),
        readOwnHours(db, organizationId),
      ]);
      const wanted = metered.filter(
        ({ id, name }) => deployment === '' || deployment === name || deployment.toLowerCase() === id,
      );
      if (deployment !== '' && wanted.length === 0) throw notFound('deployment');
      const ids = wanted.map(({ id }) => id);
      const rows = await usage.listMonthlyUsage(ids, months, MAX_ROWS + 1);
      if (rows.length > MAX_ROWS) throw tooMuch();
      const keptFromMs = now().getTime() - periodsInForce(own, metricsPeriods).hoursMs;
      const byMonth = Map.groupBy(rows, (row) => monthOf(row.month.getTime()));
      return {
        months: months.names.map((month) => ({
          ...toMonth(wanted, byMonth.get(month) ?? []),
          month,
          incomplete: Date.parse(`${month}-01T00:00:00Z`) < keptFromMs,
        })),
      };
    },
    async getMetricsRetention(_request, context) {
      const own = await readOwnHours(db, getCallerOrganization(context));
      return { retention: toRetention(own, metricsPeriods) };
    },
    async setMetricsRetention(request) {
      const wanted = toOwnHours(request);
      const check = (own: OwnHours): void => assertMinutesGoFirst(own, metricsPeriods);
      const own = await setOwnHours(db, { organizationId: request.organizationId.toLowerCase(), wanted, check });
      return { retention: toRetention(own, metricsPeriods) };
    },
    async resetMetricsRetention({ organizationId }) {
      await resetOwnHours(db, organizationId.toLowerCase());
      return { retention: toRetention({}, metricsPeriods) };
    },
  };
}

function tooMuch(): DomainError {
  return new DomainError(
    'INVALID_ARGUMENT',
    `first_month: the range has more than ${MAX_ROWS} rows of deployments; allowed are at most ${MAX_ROWS}`,
    { field: 'first_month', hint: 'Ask for fewer months, or for one deployment.' },
  );
}

function toMonth(
  deployments: readonly MeteredDeployment[],
  rows: readonly MonthlyUsage[],
): Pick<MessageInitShape<typeof MonthUsageSchema>, 'total' | 'deployments'> {
  const used = new Map(rows.map((row) => [row.deploymentId, toUsage(row)]));
  return {
    total: toWire(sumUsage([...used.values()])),
    deployments: deployments.flatMap(({ id, name, isGone }) => {
      const own = used.get(id);
      return own ? [{ deploymentId: id, name, gone: isGone, usage: toWire(own) }] : [];
    }),
  };
}

function toUsage(row: MonthlyUsage): Usage {
  return Object.fromEntries(USAGE_KINDS.map((kind) => [kind, BigInt(row[kind])])) as Usage;
}

function toWire(usage: Usage): MessageInitShape<typeof UsageSumsSchema> {
  return {
    cpuCoreSeconds: inUnits(usage.cpuNanos, 1_000_000_000n),
    memoryByteSeconds: inUnits(usage.memoryByteMillis, 1_000n),
    networkReceiveBytes: String(usage.networkReceiveBytes),
    networkTransmitBytes: String(usage.networkTransmitBytes),
    diskReadBytes: String(usage.diskReadBytes),
    diskWriteBytes: String(usage.diskWriteBytes),
    uptimeSeconds: inUnits(usage.uptimeMs, 1_000n),
  };
}

/** @throws INVALID_ARGUMENT, also where neither is set. */
function toOwnHours({ minutes, hours }: SetMetricsRetentionRequest): OwnHours {
  if (!minutes && !hours) throw invalidArgument('minutes', 'neither minutes nor hours are set', 'one of them, or both');
  const toEntry = (kind: MetricsPeriodKind, keep: Duration | undefined): OwnHours =>
    keep ? { [kind]: toKeepHours(kind, exactMs(keep)) } : {};
  return { ...toEntry('metrics_minutes', minutes), ...toEntry('metrics_hours', hours) };
}

/** Not rounded, so that a period with a fraction of a millisecond is seen to be none of whole hours. */
function exactMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1_000_000;
}

function toRetention(own: OwnHours, platform: PlatformPeriods): MessageInitShape<typeof MetricsRetentionSchema> {
  const { minutesMs, hoursMs } = periodsInForce(own, platform);
  const toPeriod = (kind: MetricsPeriodKind, keepMs: number, platformMs: number) => ({
    ...{ keep: durationFromMs(keepMs), own: own[kind] !== undefined, default: durationFromMs(platformMs) },
  });
  return {
    minutes: toPeriod('metrics_minutes', minutesMs, platform.minutesMs),
    hours: toPeriod('metrics_hours', hoursMs, platform.hoursMs),
  };
}

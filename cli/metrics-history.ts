import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import {
  type MetricPoint,
  MetricsAggregation,
  MetricsResolution,
  type QueryMetricsResponse,
  type RequestPoint,
} from '../gen/obiente/cloud/v1/metrics_pb.ts';
import { chart } from './chart.ts';
import { oneOf } from './choices.ts';
import { cell } from './csv.ts';
import { refuse } from './failures.ts';
import { plainText } from './plain-text.ts';
import { showBytes } from './quantities.ts';
import type { Terminal } from './terminal.ts';

/** Lines of a chart; columns are as many as the terminal has, within bounds. */
const HEIGHT = 8;
const MAX_WIDTH = 120;
const LEAST_WIDTH = 20;

/** Columns that labels take. */
const MARGIN = 14;

/** For output that is no terminal. */
const PLAIN_WIDTH = 80;

const RESOLUTIONS = {
  live: MetricsResolution.LIVE,
  minute: MetricsResolution.MINUTE,
  hour: MetricsResolution.HOUR,
} as const;

const AGGREGATIONS = {
  sum: MetricsAggregation.UNSPECIFIED,
  avg: MetricsAggregation.AVERAGE,
  max: MetricsAggregation.MAXIMUM,
  none: MetricsAggregation.NONE,
} as const;

/** Reads `--resolution`. */
export function parseResolution(text: string | undefined): MetricsResolution {
  return text === undefined ? MetricsResolution.UNSPECIFIED : oneOf('--resolution', text, RESOLUTIONS);
}

/** Reads `--aggregate`. */
export function parseAggregation(text: string): MetricsAggregation {
  return oneOf('--aggregate', text, AGGREGATIONS);
}

/** Reads `--percentiles`: numbers from 0 to 100 between commas, ten at most. */
export function parsePercentiles(text: string): number[] {
  const percentiles = text
    .split(',')
    .map((one) => (/^\d{1,3}(\.\d{1,3})?$/.test(one.trim()) ? Number(one) : Number.NaN));
  if (percentiles.length <= 10 && percentiles.every((one) => one >= 0 && one <= 100)) return percentiles;
  throw refuse('--percentiles', `"${text}" is not allowed; allowed are up to ten of 0 to 100, such as 50,95,99`);
}

/** One chart for each thing that is measured, of each series, and a line of percentiles. */
export function historyView(terminal: Terminal, answer: QueryMetricsResponse): string {
  const room = Number.isFinite(terminal.width) ? terminal.width : PLAIN_WIDTH;
  const width = Math.max(LEAST_WIDTH, Math.min(room, MAX_WIDTH) - MARGIN);
  const ends = [shortTime(answer.start, answer), shortTime(answer.end, answer)] as const;
  const draw = (title: string, { values, ceiling, format }: Course): string => {
    const body = values.every((value) => value === null)
      ? 'nothing is known'
      : chart({ values, ceiling, format, ends, width, height: HEIGHT });
    return `${terminal.paint.bold(title)}\n${body}`;
  };
  const ofReplicas = answer.series.flatMap(({ replicaId, points, percentiles }) => {
    const suffix = replicaId === '' ? '' : ` of ${plainText(replicaId)}`;
    const charts = pointCharts(points).map(([title, course]) => draw(`${title}${suffix}`, course));
    return percentiles.length > 0 ? [...charts, `percentiles${suffix}: ${showPercentiles(percentiles)}`] : charts;
  });
  const hasRequests = answer.requests.some(({ requests }) => requests !== undefined);
  const ofRequests = hasRequests ? requestCharts(answer).map(([title, course]) => draw(title, course)) : [];
  const steps = `steps of ${showStep(Number(answer.stepMs))} (resolution ${word(answer.resolution)})`;
  return [...ofReplicas, ...ofRequests, terminal.paint.dim(steps)].join('\n\n');
}

interface Course {
  readonly values: readonly (number | null)[];
  readonly ceiling: number;
  readonly format: (value: number) => string;
}

const asPercent = (value: number): string => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
const asRate = (value: number): string => `${showBytes(value)}/s`;
const asCount = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0));
const asMs = (value: number): string => `${value.toFixed(0)} ms`;

type Rate = 'networkReceiveRate' | 'networkTransmitRate' | 'diskReadRate' | 'diskWriteRate';

function pointCharts(points: readonly MetricPoint[]): [string, Course][] {
  const rate = (name: Rate): Course => ({
    values: points.map((point) => point[name] ?? null),
    ceiling: 1,
    format: asRate,
  });
  return [
    ['CPU', { values: points.map(({ cpuPercent }) => cpuPercent ?? null), ceiling: 1, format: asPercent }],
    ['memory', { values: points.map(({ memoryBytes }) => memoryBytes ?? null), ceiling: 1024, format: showBytes }],
    ['network in', rate('networkReceiveRate')],
    ['network out', rate('networkTransmitRate')],
    ['disk reads', rate('diskReadRate')],
    ['disk writes', rate('diskWriteRate')],
  ];
}

function requestCharts({ requests, stepMs }: QueryMetricsResponse): [string, Course][] {
  const perSecond = (value: bigint | undefined): number | null =>
    value === undefined ? null : Number(value) / (Number(stepMs) / 1000);
  const rate = (name: 'requests' | 'status5xx'): Course => ({
    values: requests.map((point) => perSecond(point[name])),
    ceiling: 1,
    format: asCount,
  });
  return [
    ['requests a second', rate('requests')],
    ['answers 5xx a second', rate('status5xx')],
    [
      '95 of 100 answers within',
      { values: requests.map(({ latencyP95Ms }) => latencyP95Ms ?? null), ceiling: 10, format: asMs },
    ],
  ];
}

function showPercentiles(percentiles: QueryMetricsResponse['series'][number]['percentiles']): string {
  return percentiles
    .map(({ percentile, cpuPercent, memoryBytes }) => {
      const cpu = cpuPercent === undefined ? '-' : asPercent(cpuPercent);
      const memory = memoryBytes === undefined ? '-' : showBytes(memoryBytes);
      return `p${percentile} cpu ${cpu}, memory ${memory}`;
    })
    .join('; ');
}

const POINT_COLUMNS = {
  replicas: 'replicas',
  cpu_percent: 'cpuPercent',
  cpu_throttled_percent: 'cpuThrottledPercent',
  memory_bytes: 'memoryBytes',
  memory_max_bytes: 'memoryMaxBytes',
  network_receive_rate: 'networkReceiveRate',
  network_transmit_rate: 'networkTransmitRate',
  disk_read_rate: 'diskReadRate',
  disk_write_rate: 'diskWriteRate',
  pids: 'pids',
  observed: 'observed',
} as const satisfies Record<string, keyof MetricPoint>;

const REQUEST_COLUMNS = {
  requests: 'requests',
  status_1xx: 'status1xx',
  status_2xx: 'status2xx',
  status_3xx: 'status3xx',
  status_4xx: 'status4xx',
  status_5xx: 'status5xx',
  bytes_in: 'bytesIn',
  bytes_out: 'bytesOut',
  latency_p50_ms: 'latencyP50Ms',
  latency_p95_ms: 'latencyP95Ms',
  latency_p99_ms: 'latencyP99Ms',
} as const satisfies Record<string, keyof RequestPoint>;

/**
 * The answer as comma-separated values (RFC 4180, lines end with LF): a line a step and series, empty cells in gaps.
 * Requests stand beside the series of all replicas; where replicas are apart they have none.
 */
export function toCsv({ series, requests }: QueryMetricsResponse): readonly string[] {
  const hasRequests = requests.length > 0 && series.every(({ replicaId }) => replicaId === '');
  const header = ['at', 'replica', ...Object.keys(POINT_COLUMNS), ...(hasRequests ? Object.keys(REQUEST_COLUMNS) : [])];
  const lines = series.flatMap(({ replicaId, points }) =>
    points.map((point, index) => {
      const own = Object.values(POINT_COLUMNS).map((name) => cell(point.replicas === 0 ? undefined : point[name]));
      const request = requests[index];
      const beside = hasRequests ? Object.values(REQUEST_COLUMNS).map((name) => cell(request?.[name])) : [];
      return [timeOf(point.at).toISOString(), cell(replicaId), ...own, ...beside].join(',');
    }),
  );
  return [header.join(','), ...lines];
}

function timeOf(at: Timestamp | undefined): Date {
  return at === undefined ? new Date(0) : timestampDate(at);
}

/** The time of day, with the date where the range is longer than a day. */
function shortTime(at: Timestamp | undefined, { start, end }: QueryMetricsResponse): string {
  const text = timeOf(at).toISOString();
  const isLong = timeOf(end).getTime() - timeOf(start).getTime() > 86_400_000;
  return isLong ? text.slice(0, 16).replace('T', ' ') : text.slice(11, 19);
}

function showStep(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000} h`;
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}

function word(resolution: MetricsResolution): string {
  return Object.entries(RESOLUTIONS).find(([, value]) => value === resolution)?.[0] ?? 'unknown';
}

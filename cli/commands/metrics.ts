import { timestampDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { createLogUpdate } from 'log-update';
import {
  ContainerSampleSchema,
  QueryMetricsResponseSchema,
  type StreamMetricsResponse,
} from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { refuse } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { historyView, parseAggregation, parsePercentiles, parseResolution, toCsv } from '../metrics-history.ts';
import { metricsLine, metricsTable, remember, type SampleHistory, summaryLines } from '../metrics-view.ts';
import { plainText } from '../plain-text.ts';
import { parseDuration } from '../quantities.ts';
import { getDeployment } from '../resolve.ts';
import { resumingStream } from '../resuming-stream.ts';
import { messageJson } from '../show.ts';
import { addMetricsRetention } from './metrics-retention.ts';

/** How far back lines begin where there is no terminal; a live view has all that is kept. */
const LOOK_BACK_MS = 60_000;

interface MetricsOptions {
  readonly project?: string;
  readonly once?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly resolution?: string;
  readonly aggregate: string;
  readonly replica?: string;
  readonly service?: string;
  readonly percentiles?: string;
  readonly csv?: boolean;
}

/** Adds `obiente metrics`, and `retention` below it. A deployment of that name is reached by its id. */
export function addMetrics(program: Command, context: CliContext): void {
  const metrics = program
    .command('metrics')
    // A deployment may be called help.
    .helpCommand(false)
    .description('watch what a deployment uses live, or show its course over a time with --since')
    .argument('<name>', 'name or id of the deployment')
    .option('--once', 'print the newest sample of each replica and end')
    .option('--since <duration>', 'show the course since so long ago, such as 30m, 6h or 14d')
    .option('--until <duration>', 'end the course so long ago, instead of now')
    .option('--resolution <name>', 'live, minute or hour; chosen by the time otherwise')
    .option('--aggregate <name>', 'how replicas become one: sum, avg, max, or none for one course each', 'sum')
    .option('--replica <id>', 'only this replica')
    .option('--service <name>', 'only replicas of this service')
    .option('--percentiles <list>', 'percentiles over the time, such as 50,95,99')
    .option('--csv', 'print the course as comma-separated values')
    .option('--project <name>', 'the project that it belongs to')
    .action(action<MetricsOptions, [string]>(context, showMetrics));
  addMetricsRetention(metrics, context);
}

async function showMetrics(invocation: Invocation, options: MetricsOptions, name: string): Promise<void> {
  if (options.since !== undefined) return await showHistory(invocation, { ...options, since: options.since }, name);
  const needsSince = (['until', 'resolution', 'percentiles', 'csv', 'service'] as const).find(
    (option) => options[option] !== undefined,
  );
  if (needsSince) throw refuse(`--${needsSince}`, 'it is about a course; it is allowed with --since');
  if (options.once === true) return await showNewest(invocation, options, name);
  await showLive(invocation, options, name);
}

async function showNewest(invocation: Invocation, options: MetricsOptions, name: string): Promise<void> {
  const { openApi, organization, terminal } = invocation;
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project: options.project });
  const answer = await api.metrics.getLatestMetrics({ deploymentId });
  const samples = answer.samples.filter(({ replicaId }) => (options.replica ?? replicaId) === replicaId);
  terminal.document(samples.map((sample) => messageJson(ContainerSampleSchema, sample)));
  if (samples.length === 0) terminal.line('no samples yet');
  for (const sample of samples) terminal.line(plainText(metricsLine(sample)));
}

async function showHistory(
  invocation: Invocation,
  options: MetricsOptions & { readonly since: string },
  name: string,
): Promise<void> {
  const { openApi, organization, terminal } = invocation;
  const nowMs = Date.now();
  const startMs = nowMs - parseDuration('--since', options.since);
  const endMs = nowMs - (options.until === undefined ? 0 : parseDuration('--until', options.until));
  const wanted = {
    resolution: parseResolution(options.resolution),
    aggregation: parseAggregation(options.aggregate),
    percentiles: options.percentiles === undefined ? [] : parsePercentiles(options.percentiles),
    replicaId: options.replica ?? '',
    service: options.service ?? '',
    start: timestampFromMs(startMs),
    end: timestampFromMs(endMs),
  };
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project: options.project });
  const answer = await api.metrics.queryMetrics({ deploymentId, ...wanted });
  terminal.document(messageJson(QueryMetricsResponseSchema, answer));
  if (options.csv === true) for (const line of toCsv(answer)) terminal.line(line);
  else terminal.line(historyView(terminal, answer));
}

async function showLive(invocation: Invocation, options: MetricsOptions, name: string): Promise<void> {
  const { openApi, organization, terminal, signal } = invocation;
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project: options.project });
  const replicaIds = options.replica === undefined ? [] : [options.replica];
  const beginning = terminal.isInteractive ? {} : { after: timestampFromMs(Date.now() - LOOK_BACK_MS) };
  const show = createLiveView(invocation, plainText(name));
  const messages = resumingStream<StreamMetricsResponse, string>({
    open: (cursor, streamSignal) =>
      api.metrics.streamMetrics({ deploymentId, replicaIds, cursor, ...beginning }, { signal: streamSignal }),
    advance: (before, { cursor }) => cursor || before,
    start: '',
    signal,
    onInterruption: () => show.note('the connection to the API broke, trying again'),
  });
  try {
    for await (const message of messages) {
      for (const sample of message.samples) terminal.record(messageJson(ContainerSampleSchema, sample));
      show.message(message);
      for (const note of notesOf(message)) show.note(note);
    }
  } finally {
    show.end();
  }
}

function notesOf({ missedRounds, nodes }: StreamMetricsResponse): string[] {
  const missed = missedRounds > 0n ? [`${missedRounds} rounds were missed, since they were read too slowly`] : [];
  const silent = nodes.filter(({ stale }) => stale);
  return [
    ...missed,
    ...silent.map(({ nodeId, heardAt }) => {
      const since = heardAt ? ` since ${timestampDate(heardAt).toISOString()}` : '';
      return `node ${plainText(nodeId)} is silent${since}: what it runs is not in the sums`;
    }),
  ];
}

/** A table that is drawn anew on a terminal; elsewhere a line a sample. */
function createLiveView({ terminal, context }: Invocation, name: string) {
  if (!terminal.isInteractive) {
    let noted = '';
    return {
      message: ({ samples }: StreamMetricsResponse) => {
        for (const sample of samples) terminal.line(plainText(metricsLine(sample)));
      },
      note: (text: string) => {
        if (text !== noted) terminal.note(text);
        noted = text;
      },
      end: () => undefined,
    };
  }
  const history: SampleHistory = new Map();
  const draw = createLogUpdate(context.stdout as unknown as NodeJS.WritableStream);
  let notice = 'Ctrl-C ends';
  let summary: readonly string[] = [];
  const redraw = (): void => {
    const body = history.size === 0 ? 'waiting for the first sample' : metricsTable(terminal, history);
    const sums = summary.length > 0 ? `\n\n${plainText(summary.join('\n'))}` : '';
    draw(`${terminal.paint.bold(name)}\n\n${body}${sums}\n\n${terminal.paint.dim(notice)}`);
  };
  redraw();
  return {
    message: (message: StreamMetricsResponse) => {
      remember(history, message.samples, Date.now());
      if (message.totals) summary = summaryLines(message);
      if (message.samples.length > 0) notice = 'Ctrl-C ends';
      redraw();
    },
    note: (text: string) => {
      notice = text;
      redraw();
    },
    end: () => draw.done(),
  };
}

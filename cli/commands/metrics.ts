import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { createLogUpdate } from 'log-update';
import {
  type ContainerSample,
  ContainerSampleSchema,
  type StreamMetricsResponse,
} from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { metricsLine, metricsTable, remember, type SampleHistory } from '../metrics-view.ts';
import { plainText } from '../plain-text.ts';
import { getDeployment } from '../resolve.ts';
import { resumingStream } from '../resuming-stream.ts';
import { messageJson } from '../show.ts';

/** How far back the live view begins, so that it is not empty at first. */
const LOOK_BACK_MS = 60_000;

interface MetricsOptions {
  readonly project?: string;
  readonly once?: boolean;
}

/** Adds `obiente metrics`. */
export function addMetrics(program: Command, context: CliContext): void {
  program
    .command('metrics')
    .description('watch CPU, memory, network and disk of a deployment live')
    .argument('<name>', 'name or id of the deployment')
    .option('--once', 'print the newest sample of each replica and end')
    .option('--project <name>', 'the project that it belongs to')
    .action(action<MetricsOptions, [string]>(context, showMetrics));
}

async function showMetrics(invocation: Invocation, options: MetricsOptions, name: string): Promise<void> {
  const { openApi, organization, terminal, signal } = invocation;
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project: options.project });
  if (options.once === true) {
    const { samples } = await api.metrics.getLatestMetrics({ deploymentId });
    terminal.document(samples.map((sample) => messageJson(ContainerSampleSchema, sample)));
    if (samples.length === 0) terminal.line('no samples yet');
    for (const sample of samples) terminal.line(plainText(metricsLine(sample)));
    return;
  }
  const show = createLiveView(invocation, plainText(name));
  const messages = resumingStream<StreamMetricsResponse, Timestamp>({
    open: (after, streamSignal) => api.metrics.streamMetrics({ deploymentId, after }, { signal: streamSignal }),
    advance: (cursor, { samples }) => samples.reduce((newest, { at }) => later(newest, at), cursor),
    start: timestampOf(Date.now() - LOOK_BACK_MS),
    signal,
    onInterruption: () => show.note('the connection to the API broke, trying again'),
  });
  try {
    for await (const { samples, missedRounds } of messages) {
      for (const sample of samples) terminal.record(messageJson(ContainerSampleSchema, sample));
      show.samples(samples);
      if (missedRounds > 0n) show.note(`${missedRounds} rounds were missed, since they were read too slowly`);
    }
  } finally {
    show.end();
  }
}

/** A table that is drawn anew on a terminal; elsewhere a line a sample. */
function createLiveView({ terminal, context }: Invocation, name: string) {
  if (!terminal.isInteractive) {
    return {
      samples: (samples: readonly ContainerSample[]) => {
        for (const sample of samples) terminal.line(plainText(metricsLine(sample)));
      },
      note: (text: string) => terminal.note(text),
      end: () => undefined,
    };
  }
  const history: SampleHistory = new Map();
  const draw = createLogUpdate(context.stdout as unknown as NodeJS.WritableStream);
  let notice = 'Ctrl-C ends';
  const redraw = (): void => {
    const body = history.size === 0 ? 'waiting for the first sample' : metricsTable(terminal, history);
    draw(`${terminal.paint.bold(name)}\n\n${body}\n\n${terminal.paint.dim(notice)}`);
  };
  redraw();
  return {
    samples: (samples: readonly ContainerSample[]) => {
      remember(history, samples, Date.now());
      if (samples.length > 0) notice = 'Ctrl-C ends';
      redraw();
    },
    note: (text: string) => {
      notice = text;
      redraw();
    },
    end: () => draw.done(),
  };
}

function timestampOf(ms: number): Timestamp {
  return {
    $typeName: 'google.protobuf.Timestamp',
    seconds: BigInt(Math.floor(ms / 1000)),
    nanos: (ms % 1000) * 1_000_000,
  };
}

function later(one: Timestamp, other: Timestamp | undefined): Timestamp {
  if (other === undefined) return one;
  const difference = timestampDate(other).getTime() - timestampDate(one).getTime();
  return difference > 0 || (difference === 0 && other.nanos > one.nanos) ? other : one;
}

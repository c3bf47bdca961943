import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import {
  BuildLogLineSchema,
  FailureLogSchema,
  type LogLine,
  LogLineSchema,
  type StreamLogsResponse,
} from '../../gen/obiente/cloud/v1/logs_pb.ts';
import { readBuildLog, showBuildLine } from '../build-log.ts';
import { refuse } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { colouredText, plainText } from '../plain-text.ts';
import { parseWhole } from '../quantities.ts';
import { getDeployment } from '../resolve.ts';
import { resumingStream } from '../resuming-stream.ts';
import { messageJson } from '../show.ts';

interface LogsOptions {
  readonly build?: boolean;
  readonly failed?: boolean;
  readonly revision?: string;
  readonly service?: string;
  readonly follow?: boolean;
  readonly tail: string;
  readonly replica?: string;
  readonly project?: string;
  readonly timestamps?: boolean;
}

/** Adds `obiente logs`. */
export function addLogs(program: Command, context: CliContext): void {
  program
    .command('logs')
    .description('print what a deployment prints, or what the build of its image printed')
    .argument('<name>', 'name or id of the deployment')
    .option('-f, --follow', 'go on with new lines until Ctrl-C; with --build until the build has ended')
    .option('-n, --tail <lines>', 'how many of the newest lines of each replica to begin with', '100')
    .option('-t, --timestamps', 'show when each line was printed')
    .option('--replica <id>', 'only of this replica')
    .option('--failed', 'what replicas had printed when their rollout gave them up, the newest last')
    .option('--build', 'what the build of the image printed')
    .option('--revision <number>', 'with --build: of this revision (default: the newest that was built)')
    .option('--service <name>', 'with --build: of this service')
    .option('--project <name>', 'the project that it belongs to')
    .action(action<LogsOptions, [string]>(context, printLogs));
}

async function printLogs(invocation: Invocation, options: LogsOptions, name: string): Promise<void> {
  if (options.failed === true) return await printFailureLogs(invocation, options, name);
  if (options.build === true) return await printBuildLog(invocation, options, name);
  for (const option of ['revision', 'service'] as const) {
    if (options[option] !== undefined) throw refuse(`--${option}`, 'says which build, and goes with --build');
  }
  const { openApi, organization, terminal, signal } = invocation;
  const tail = parseWhole('--tail', options.tail, { min: 0, max: 10_000 });
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project: options.project });
  const request = { deploymentId, tail, follow: options.follow === true, replicaId: options.replica ?? '' };
  const messages = resumingStream<StreamLogsResponse, string>({
    open: (cursor, streamSignal) => api.logs.streamLogs({ ...request, cursor }, { signal: streamSignal }),
    advance: (cursor, message) => message.cursor || cursor,
    start: '',
    signal,
    onInterruption: () => terminal.note('the connection to the API broke, trying again'),
  });
  for await (const { line } of messages) {
    if (line === undefined) continue;
    terminal.record(messageJson(LogLineSchema, line));
    terminal.line(showLine(invocation, line, options.timestamps === true));
  }
}

async function printFailureLogs(invocation: Invocation, options: LogsOptions, name: string): Promise<void> {
  const { openApi, organization, terminal } = invocation;
  for (const option of ['follow', 'build', 'revision', 'service'] as const) {
    if (options[option] !== undefined) throw refuse(`--${option}`, 'does not go with --failed');
  }
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project: options.project });
  const { logs } = await api.logs.listFailureLogs({ deploymentId });
  const wanted = logs.filter(({ replicaId }) => options.replica === undefined || replicaId === options.replica);
  if (wanted.length === 0) terminal.note('no log of a failed replica is kept');
  for (const log of wanted.reverse()) {
    terminal.record(messageJson(FailureLogSchema, log));
    const at = log.failedAt === undefined ? '' : ` at ${timestampDate(log.failedAt).toISOString()}`;
    const before = log.shortened ? '; lines before these are not kept' : '';
    terminal.line(terminal.paint.yellow(`[${log.replicaId} was given up${at}, operation ${log.operationId}${before}]`));
    for (const line of log.lines) terminal.line(showLine(invocation, line, options.timestamps === true));
  }
}

async function printBuildLog(invocation: Invocation, options: LogsOptions, name: string): Promise<void> {
  const { openApi, organization, terminal, signal } = invocation;
  const { revision: text = '0', service = '', follow = false, timestamps = false } = options;
  const revision = parseWhole('--revision', text, { min: 0, max: 2_147_483_647 });
  const api = await openApi();
  const { id: deploymentId } = await getDeployment(api, { name, organization, project: options.project });
  const onInterruption = () => terminal.note('the connection to the API broke, trying again');
  const wanted = { deploymentId, revision, service, follow, signal, onInterruption };
  for await (const line of readBuildLog(api, wanted)) {
    terminal.record(messageJson(BuildLogLineSchema, line));
    terminal.line(`${showTime(invocation, line, timestamps)}${showBuildLine(terminal, line)}`);
  }
}

const REPLICA_COLOURS = ['cyan', 'magenta', 'blue', 'yellow', 'green'] as const;

function showTime({ terminal }: Invocation, { at }: { at?: Timestamp | undefined }, hasTime: boolean): string {
  return hasTime && at !== undefined ? `${terminal.paint.dim(timestampDate(at).toISOString())} ` : '';
}

function showLine(invocation: Invocation, line: LogLine, hasTime: boolean): string {
  const { paint } = invocation.terminal;
  const index = Number(/-(\d+)$/.exec(line.replicaId)?.[1] ?? 0) % REPLICA_COLOURS.length;
  const replica = paint[REPLICA_COLOURS[index] ?? 'cyan'](plainText(line.replicaId));
  const time = showTime(invocation, line, hasTime);
  const text = paint.level > 0 ? colouredText(line.text) : plainText(line.text);
  return `${time}${replica} ${paint.dim('|')} ${text}`;
}

import type { BuildLogLine, StreamBuildLogsResponse } from '../gen/obiente/cloud/v1/logs_pb.ts';
import type { Api } from './client.ts';
import { plainText } from './plain-text.ts';
import { resumingStream } from './resuming-stream.ts';
import type { Terminal } from './terminal.ts';

/** Which build's lines, and how to hear of breaks. */
export interface WantedBuildLog {
  readonly deploymentId: string;
  /** 0: the newest that was built. */
  readonly revision: number;
  /** Empty: the only one that was built. */
  readonly service: string;
  readonly follow: boolean;
  readonly signal: AbortSignal;
  readonly onInterruption?: () => void;
}

/** Reads the log of a build through restarts of the API, each line once and in order. */
export async function* readBuildLog(api: Api, wanted: WantedBuildLog): AsyncGenerator<BuildLogLine> {
  const { signal, onInterruption, ...request } = wanted;
  const messages = resumingStream<StreamBuildLogsResponse, bigint>({
    open: (after, streamSignal) => api.logs.streamBuildLogs({ ...request, after }, { signal: streamSignal }),
    advance: (after, { line }) => line?.number ?? after,
    start: 0n,
    signal,
    ...(onInterruption ? { onInterruption } : {}),
  });
  for await (const { line } of messages) if (line) yield line;
}

/** A line as people read it: what the platform says is told apart from what the build printed. */
export function showBuildLine({ paint }: Pick<Terminal, 'paint'>, { text, remark }: BuildLogLine): string {
  return remark ? paint.yellow(`[${plainText(text)}]`) : plainText(text);
}

/** How long the last lines of a build may take once its operation is over. */
const LAST_LINES_MS = 3_000;

/** The log of a build beside something else that is waited for. */
export interface BuildLogBeside {
  /** Begins, unless it has. */
  begin(): void;
  /** Returns when the last lines were printed, or had their time. */
  end(): Promise<void>;
}

/**
 * Prints the lines of a revision's builds while its operation is followed, with the service where there are several. An
 * extra: where a log cannot be had, the operation is followed without it.
 */
export function printBeside(
  api: Api,
  wanted: Omit<WantedBuildLog, 'service' | 'follow' | 'onInterruption'>,
  print: (line: BuildLogLine, service: string) => void,
): BuildLogBeside {
  const ending = new AbortController();
  const signal = AbortSignal.any([wanted.signal, ending.signal]);
  let reading: Promise<void> | undefined;
  const read = async (service: string): Promise<void> => {
    try {
      for await (const line of readBuildLog(api, { ...wanted, service, follow: true, signal })) print(line, service);
    } catch {
      // Whatever it is, the operation and its own end matter more. One that kept its image has no build in this revision.
    }
  };
  const readAll = async (): Promise<void> => {
    const services = await findBuiltServices(api, wanted.deploymentId, signal).catch(() => ['']);
    await Promise.all(services.map(read));
  };
  return {
    begin: () => {
      reading ??= readAll();
    },
    end: async () => {
      const timer = setTimeout(() => ending.abort(), LAST_LINES_MS);
      await reading;
      clearTimeout(timer);
    },
  };
}

/** Services of a deployment that are built from a Dockerfile; an empty name stands for the only one that there is. */
async function findBuiltServices(api: Api, deploymentId: string, signal: AbortSignal): Promise<readonly string[]> {
  const { deployment } = await api.deployments.getDeployment({ deploymentId }, { signal });
  const source = deployment?.spec?.source;
  if (source?.case !== 'compose') return [''];
  return source.value.services.filter((service) => service.source.case === 'dockerfile').map(({ name }) => name);
}

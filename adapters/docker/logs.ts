import type { LogLine } from '../../domain/container.ts';
import type { DockerConnection } from './connection.ts';
import { type LogFrame, readLogFrames } from './log-frames.ts';

/** Longest line that is passed on; the rest of a longer one is dropped. */
const LONGEST_LINE_BYTES = 16 * 1024;

/** Which lines of a container's log. */
export interface LogsRequest {
  readonly containerId: string;
  /** How many of the newest lines to begin with; without `after` only. */
  readonly tail: number;
  readonly follow: boolean;
  /** RFC 3339 with nanoseconds: only later lines. */
  readonly after: string | null;
}

/** The logs of one daemon's containers. */
export interface DockerLogs {
  /**
   * Streams lines, oldest first; ends when the container is gone, or without `follow` at the newest line. Reads no
   * faster than it is consumed, so a slow reader costs no memory.
   *
   * @throws NOT_FOUND when there is no such container.
   */
  streamLogs(request: LogsRequest, signal: AbortSignal): AsyncGenerator<LogLine>;
  /** The newest lines, for an error message. */
  readLogTail(containerId: string, lines: number): Promise<readonly LogLine[]>;
}

/** Creates the part of the adapter that deals with logs. */
export function createDockerLogs(docker: DockerConnection): DockerLogs {
  const open = async (request: LogsRequest, signal: AbortSignal | undefined): Promise<AsyncIterable<Buffer>> => {
    const options = { stdout: true, stderr: true, timestamps: true, ...range(request) };
    const container = docker.client.getContainer(request.containerId);
    const what = `read the log of container ${request.containerId}`;
    if (request.follow) {
      const stop = signal ? { abortSignal: signal } : {};
      const stream = await docker.call(what, () => container.logs({ ...options, ...stop, follow: true }), { signal });
      return stream as AsyncIterable<Buffer>;
    }
    const whole = await docker.call(what, (abortSignal) => container.logs({ ...options, abortSignal }), { signal });
    return once(Buffer.isBuffer(whole) ? whole : Buffer.alloc(0));
  };

  return {
    streamLogs: async function* (request, signal) {
      yield* readLines(await open(request, signal), request.after);
    },
    readLogTail: async (containerId, lines) => {
      const request = { containerId, tail: lines, follow: false, after: null };
      const tail: LogLine[] = [];
      for await (const line of readLines(await open(request, undefined), null)) tail.push(line);
      return tail;
    },
  };
}

/** Docker includes what it is told to begin with, so the line at `after` itself comes again and is left out below. */
function range({ tail, after }: LogsRequest): { since: string } | { tail: number } {
  if (after === null) return { tail };
  return { since: `${Math.floor(Date.parse(after) / 1000)}.${nanosOf(after)}` };
}

function nanosOf(at: string): string {
  return (/\.(\d{1,9})/.exec(at)?.[1] ?? '').padEnd(9, '0');
}

async function* once(whole: Buffer): AsyncGenerator<Buffer> {
  if (whole.length > 0) yield whole;
}

async function* readLines(source: AsyncIterable<Buffer>, after: string | null): AsyncGenerator<LogLine> {
  const continued = { stdout: false, stderr: false };
  for await (const frame of readLogFrames(source)) {
    const isRest = continued[frame.stream];
    continued[frame.stream] = frame.payload.at(-1) !== 0x0a;
    if (isRest) continue;
    const line = toLine(frame);
    if (line && (after === null || isLater(line.at, after))) yield line;
  }
}

/** A frame is a time stamp, a space, and up to 16 KiB of a line; only its last frame ends with the line's end. */
function toLine({ stream, payload }: LogFrame): LogLine | undefined {
  const space = payload.indexOf(0x20);
  if (space < 0) return undefined;
  const text = payload.subarray(space + 1, space + 1 + LONGEST_LINE_BYTES).toString('utf8');
  return { at: payload.subarray(0, space).toString('latin1'), stream, text: text.replace(/\r?\n$/, '') };
}

function isLater(at: string, after: string): boolean {
  const seconds = Math.floor(Date.parse(at) / 1000) - Math.floor(Date.parse(after) / 1000);
  return seconds === 0 ? nanosOf(at) > nanosOf(after) : seconds > 0;
}

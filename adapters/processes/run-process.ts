import { type ChildProcess, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DomainError, isDomainError } from '../../domain/errors.ts';

/** Lines of standard error that a failure carries, and characters of each. */
const KEPT_LINES = 20;
const LINE_CHARACTERS = 500;

/** One run of a program. */
export interface ProcessCall {
  /** Absolute path of what is run, and its arguments. */
  readonly command: readonly string[];
  /** What people call it. */
  readonly name: string;
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Written to its standard input. */
  readonly input?: Iterable<string> | undefined;
  /** Told of every line on standard error; a carriage return ends one too. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** A program ended otherwise than well. For inside only: the lines are not masked. */
export class ProcessFailed extends Error {
  override readonly name = 'ProcessFailed';
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];

  constructor(program: string, how: { code: number | null; signal: NodeJS.Signals | null; lines: readonly string[] }) {
    super(`${program} ended with ${how.signal ?? `code ${how.code}`}`);
    this.signal = how.signal;
    this.lines = how.lines;
  }
}

/**
 * Runs a program without a shell, in a process group of its own, and hands its standard output to `read`.
 *
 * When it returns or throws, every process of the group has ended: on an abort, and when `read` throws, they are killed.
 *
 * @throws ProcessFailed; the reason of the signal; what `read` throws.
 */
export async function runProcess<Answer>(
  call: ProcessCall,
  read: (output: Readable) => Promise<Answer>,
): Promise<Answer> {
  call.signal.throwIfAborted();
  const [command = '', ...args] = call.command;
  const stdio = [call.input ? 'pipe' : 'ignore', 'pipe', 'pipe'] as const;
  const child = spawn(command, args, { cwd: call.cwd, env: call.env, detached: true, stdio: [...stdio] });
  const { stdin, stdout, stderr } = child;
  if (!stdout || !stderr) throw new Error(`${call.name} was started without its pipes`);
  const kill = () => killGroup(child);
  const lines = keepLines(stderr, call.onLine);
  const closed = untilClosed(child);
  call.signal.addEventListener('abort', kill, { once: true });
  // A pipe that breaks says less than the exit of its reader does.
  const fed = stdin ? pipeline(Readable.from(call.input ?? []), stdin).catch(() => {}) : Promise.resolve();
  const reading = read(stdout).catch((error: unknown) => {
    kill();
    stdout.destroy();
    throw error;
  });
  const [answer, end] = await Promise.allSettled([reading, closed, fed]);
  call.signal.removeEventListener('abort', kill);
  call.signal.throwIfAborted();
  if (end.status === 'rejected') throw end.reason;
  const { code, signal } = end.value;
  if (answer.status === 'rejected' && (isDomainError(answer.reason) || isOurDoing(signal))) throw answer.reason;
  if (code !== 0) throw new ProcessFailed(call.name, { code, signal, lines });
  if (answer.status === 'rejected') throw answer.reason;
  return answer.value;
}

/** Reads all of a short output. @throws SOURCE_REFUSED: only a hostile source makes it long. */
export function readOutput(maxBytes: number, name = 'a program'): (output: Readable) => Promise<string> {
  return async (output) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of output as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes)
        throw new DomainError('SOURCE_REFUSED', `${name} prints more than ${maxBytes} bytes about it`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  };
}

/** How a program ends when its reader gives up. */
function isOurDoing(signal: NodeJS.Signals | null): boolean {
  return signal === 'SIGKILL' || signal === 'SIGPIPE';
}

/** The pipes end with the last process, so this waits for the whole group. */
function untilClosed(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Keeps the last lines, whatever a server sends; the array grows no longer than {@link KEPT_LINES}. */
function keepLines(stream: Readable, onLine: (line: string) => void = () => {}): readonly string[] {
  const lines: string[] = [];
  let unfinished = '';
  const push = (line: string): void => {
    const text = line.trimEnd();
    if (text === '') return;
    lines.push(text);
    if (lines.length > KEPT_LINES) lines.shift();
    onLine(text);
  };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const parts = (unfinished + chunk).split(/[\r\n]/);
    unfinished = (parts.pop() ?? '').slice(0, LINE_CHARACTERS);
    for (const part of parts) push(part.slice(0, LINE_CHARACTERS));
  });
  stream.on('end', () => push(unfinished));
  return lines;
}

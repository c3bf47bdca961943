import type { Readable } from 'node:stream';
import { readOutput, runProcess } from '../processes/run-process.ts';
import type { GitPrograms } from './programs.ts';

/** Memory that one git process may write to: a thousand times less than a hostile pack can ask for. */
const MEMORY_BYTES = 1024 ** 3;

/** One run of git. */
export interface GitCall {
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Largest file that it may write; unbounded when absent. */
  readonly maxFileBytes?: number;
  /** Written to its standard input. */
  readonly input?: Iterable<string>;
  /** Told of every line on standard error; a carriage return ends one too. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs git, as {@link runProcess} says, within its memory.
 *
 * @throws ProcessFailed; the reason of the signal; what `read` throws.
 */
export async function runGit<Answer>(
  programs: GitPrograms,
  call: GitCall,
  read: (output: Readable) => Promise<Answer>,
): Promise<Answer> {
  const { env, cwd, signal, input, onLine } = call;
  const command = commandLine(programs, call);
  return await runProcess({ command, name: 'git', env, cwd, signal, input, onLine }, read);
}

/** Reads all of a short output. @throws SOURCE_REFUSED: only a hostile source makes it long. */
export function readText(maxBytes: number): (output: Readable) => Promise<string> {
  return readOutput(maxBytes, 'git');
}

function commandLine({ git, prlimit }: GitPrograms, { args, maxFileBytes }: GitCall): readonly string[] {
  if (prlimit === undefined) return [git, ...args];
  const fileSize = maxFileBytes === undefined ? [] : [`--fsize=${maxFileBytes}`];
  return [prlimit, `--data=${MEMORY_BYTES}`, '--core=0', ...fileSize, '--', git, ...args];
}

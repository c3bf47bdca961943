import { Readable } from 'node:stream';
import { run } from '../../cli/program.ts';
import { TOKEN } from './fake-platform.ts';

/** What a command said and ended with. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON. */
  json(): unknown;
}

/** Runs `obiente` in this process, as `TOKEN`'s user of the platform at `url`. */
export async function runCommand(
  args: readonly string[],
  options: { url: string; cwd?: string; stdin?: string; env?: Record<string, string>; signal?: AbortSignal },
): Promise<CommandResult> {
  let stdout = '';
  let stderr = '';
  const exitCode = await run(args, {
    env: { OBIENTE_API_URL: options.url, OBIENTE_TOKEN: TOKEN, ...options.env },
    cwd: options.cwd ?? '/',
    checkout: '/nowhere',
    stdin: Readable.from(options.stdin === undefined ? [] : [options.stdin]),
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    signal: options.signal ?? new AbortController().signal,
  });
  return { exitCode, stdout, stderr, json: () => JSON.parse(stdout) };
}

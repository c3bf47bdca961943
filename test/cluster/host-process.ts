import { type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { HostNetwork } from './network.ts';

/** A process of the platform on a host. */
export interface HostProcess {
  /** Halts it where it stands (SIGSTOP); it keeps its connections and answers nothing. */
  halt(): void;
  /** Lets it go on after that. */
  goOn(): void;
  /** Ends it as its supervisor would; resolves when it has ended. */
  end(): Promise<void>;
}

/** One that is told to end finishes what it does; then it is ended by force. */
const GRACE_MS = 15_000;

/** Starts a process on a host; it ends with the stack at the latest. */
export function startOnHost(
  stack: AsyncDisposableStack,
  { enter }: Pick<HostNetwork, 'enter'>,
  of: {
    readonly command: readonly string[];
    readonly cwd: string;
    readonly environment: Readonly<Record<string, string>>;
    readonly logFile: string;
  },
): HostProcess {
  const log = openSync(of.logFile, 'a');
  const [program = '', ...inHost] = enter;
  // In a session of its own, as the daemons are.
  const options = {
    ...{ cwd: of.cwd, env: of.environment, detached: true, stdio: ['ignore', log, log] },
  } satisfies SpawnOptions;
  const child = spawn(program, [...inHost, ...of.command], options);
  closeSync(log);
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await exit;
    clearTimeout(force);
  };
  stack.defer(end);
  return { halt: () => void child.kill('SIGSTOP'), goOn: () => void child.kill('SIGCONT'), end };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { LogFile } from './log-file.ts';
import { forgetProcess, recordProcess } from './pid-files.ts';
import { type Readiness, untilAnswering } from './readiness.ts';

/** A process that the supervisor runs. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly readiness: Readiness;
  readonly stopSignal: 'SIGTERM' | 'SIGINT';
  /** Time from that signal to SIGKILL, milliseconds. */
  readonly stopGraceMs: number;
  /** Names of the processes that must be ready before its first start. */
  readonly after: readonly string[];
}

/** How a process ended. */
export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly error?: Error };

/** One run of a process. */
export interface Launched {
  readonly pid: number | undefined;
  readonly exit: Promise<Exit>;
  /** Resolves when the process is ready. @throws the signal's reason */
  untilReady(signal: AbortSignal): Promise<void>;
  /** Sends a signal; SIGKILL goes to all of its process group. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a process in a group of its own, so that Ctrl-C reaches the supervisor alone and a stop has an order.
 *
 * Its output goes straight into its log, and its pid into `runDir` until it ends.
 */
export function launch(spec: ProcessSpec, { log, runDir }: { log: LogFile; runDir: string }): Launched {
  const output = log.open();
  const child = spawn(spec.command, [...spec.args], {
    cwd: spec.cwd,
    env: { ...spec.env },
    detached: true,
    stdio: ['ignore', output, output, ...(spec.readiness.kind === 'message' ? (['ipc'] as const) : [])],
  });
  closeSync(output);
  const { name, stopSignal, stopGraceMs } = spec;
  if (child.pid !== undefined) recordProcess(runDir, { name, pid: child.pid, stopSignal, stopGraceMs });
  const exit = exitOf(child).finally(() => forgetProcess(runDir, name));
  const saidReady = new Promise<void>((resolve) => {
    child.on('message', (message) => message === 'ready' && resolve());
  });
  return {
    pid: child.pid,
    exit,
    untilReady: (signal) =>
      spec.readiness.kind === 'message'
        ? Promise.race([saidReady, aborted(signal)])
        : untilAnswering(spec.readiness, signal),
    kill: (signal) => sendSignal(child, signal),
  };
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.on('error', (error) => child.pid === undefined && resolve({ code: null, signal: null, error }));
  });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function sendSignal(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(signal === 'SIGKILL' ? -child.pid : child.pid, signal);
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

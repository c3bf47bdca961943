import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '../../domain/errors.ts';
import { EXIT_CONFIGURATION } from '../run-role.ts';
import { type RestartTiming, restartDelayMs } from './backoff.ts';
import { type Exit, type Launched, launch, type ProcessSpec } from './launch.ts';
import type { LogFile } from './log-file.ts';
import { toPlainLine } from './log-line.ts';

/** A process that never became ready is given up after this many starts. */
const MAX_FIRST_STARTS = 5;

const TAIL_LINES = 10;

/** What happens to a supervised process. */
export type ProcessEvent =
  | { readonly kind: 'ready'; readonly name: string; readonly tookMs: number; readonly starts: number }
  | { readonly kind: 'ended'; readonly name: string; readonly reason: string; readonly restartInMs: number }
  | { readonly kind: 'stopped'; readonly name: string };

/** What a supervised process needs. */
export interface SupervisionDeps {
  readonly log: LogFile;
  readonly runDir: string;
  readonly timing: RestartTiming;
  /** A start that is not ready by then counts as failed. */
  readonly readyWithinMs: number;
  readonly onEvent: (event: ProcessEvent) => void;
}

/** A process that is kept running until it is stopped. */
export interface SupervisedProcess {
  readonly name: string;
  /** Of the present run; `undefined` between two. */
  pid(): number | undefined;
  /** How often it became ready. */
  starts(): number;
  isReady(): boolean;
  /** Resolves when it was ready for the first time. @throws CONFIGURATION, INTERNAL: it is given up. */
  readonly ready: Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Stops it in its own way and by force after its grace; it is not started again. */
  stop(): Promise<void>;
}

/**
 * Starts a process and starts it again whenever it ends, after a delay that grows with each failure in a row.
 *
 * Before it was ever ready it is given up after 5 starts, or at once when it says that its configuration is wrong
 * (exit code 78); later never.
 */
export function startSupervised(spec: ProcessSpec, deps: SupervisionDeps): SupervisedProcess {
  const stopping = new AbortController();
  const firstReady = Promise.withResolvers<void>();
  let current: Launched | undefined;
  let starts = 0;
  let isReady = false;

  const runOnce = async (): Promise<{ reason: string; isFinal: boolean; readyForMs: number }> => {
    const launchedAt = performance.now();
    const launched = launch(spec, deps);
    current = launched;
    const lateness = await raceToReady(launched, deps.readyWithinMs);
    const readyAt = performance.now();
    if (lateness === 'ready') {
      starts += 1;
      isReady = true;
      firstReady.resolve();
      deps.onEvent({ kind: 'ready', name: spec.name, tookMs: readyAt - launchedAt, starts });
    } else if (lateness === 'late') {
      launched.kill('SIGKILL');
    }
    const exit = await launched.exit;
    isReady = false;
    current = undefined;
    const reason = lateness === 'late' ? `not ready after ${deps.readyWithinMs} ms` : describeExit(exit);
    const isFinal = exit.code === EXIT_CONFIGURATION || exit.error !== undefined;
    return { reason, isFinal, readyForMs: lateness === 'ready' ? performance.now() - readyAt : 0 };
  };

  const keepRunning = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const { reason, isFinal, readyForMs } = await runOnce();
      if (stopping.signal.aborted) break;
      failures = readyForMs >= deps.timing.soundAfterMs ? 1 : failures + 1;
      if (starts === 0 && (isFinal || failures >= MAX_FIRST_STARTS)) {
        firstReady.reject(givenUp(spec.name, reason, isFinal, deps.log));
        return;
      }
      const restartInMs = restartDelayMs(failures, deps.timing);
      deps.onEvent({ kind: 'ended', name: spec.name, reason, restartInMs });
      await delay(restartInMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
    firstReady.reject(new DomainError('CANCELLED', `${spec.name} was stopped before it was ready`));
    deps.onEvent({ kind: 'stopped', name: spec.name });
  };

  firstReady.promise.catch(() => {});
  const finished = keepRunning();
  return {
    name: spec.name,
    pid: () => current?.pid,
    starts: () => starts,
    isReady: () => isReady,
    ready: firstReady.promise,
    kill: (signal) => current?.kill(signal),
    stop: async () => {
      stopping.abort();
      current?.kill(spec.stopSignal);
      const force = setTimeout(() => current?.kill('SIGKILL'), spec.stopGraceMs);
      await finished;
      clearTimeout(force);
    },
  };
}

async function raceToReady(launched: Launched, withinMs: number): Promise<'ready' | 'exited' | 'late'> {
  const over = new AbortController();
  const late = setTimeout(() => over.abort('late'), withinMs);
  const outcome = await Promise.race([
    launched.untilReady(over.signal).then(
      () => 'ready' as const,
      () => 'late' as const,
    ),
    launched.exit.then(() => 'exited' as const),
  ]);
  clearTimeout(late);
  over.abort(outcome);
  return outcome;
}

function describeExit({ code, signal, error }: Exit): string {
  if (error) return error.message;
  return signal ? `ended by ${signal}` : `exit code ${code}`;
}

function givenUp(name: string, reason: string, isFinal: boolean, log: LogFile): DomainError {
  const tail = log.tail(TAIL_LINES).map((line) => `\n  ${toPlainLine(line)}`);
  return new DomainError(
    isFinal ? 'CONFIGURATION' : 'INTERNAL',
    `${name} cannot be started: ${reason}; the end of ${log.path}:${tail.join('')}`,
  );
}

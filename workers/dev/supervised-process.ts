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
  const state: State = { current: undefined, starts: 0, isReady: false };

  const keepRunning = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const { reason, isFinal, readyForMs } = await runOnce(spec, deps, state, firstReady.resolve);
      if (stopping.signal.aborted) break;
      failures = readyForMs >= deps.timing.soundAfterMs ? 1 : failures + 1;
      if (state.starts === 0 && (isFinal || failures >= MAX_FIRST_STARTS)) {
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

  // Whoever waits for `ready` hears of it; that nobody does must not end the supervisor.
  firstReady.promise.catch(() => {});
  const finished = keepRunning();
  return {
    name: spec.name,
    pid: () => state.current?.pid,
    starts: () => state.starts,
    isReady: () => state.isReady,
    ready: firstReady.promise,
    kill: (signal) => state.current?.kill(signal),
    stop: async () => {
      stopping.abort();
      state.current?.kill(spec.stopSignal);
      const force = setTimeout(() => state.current?.kill('SIGKILL'), spec.stopGraceMs);
      await finished;
      clearTimeout(force);
    },
  };
}

interface State {
  current: Launched | undefined;
  starts: number;
  isReady: boolean;
}

/** How one run ended. */
interface Ending {
  readonly reason: string;
  /** Starting again would not help. */
  readonly isFinal: boolean;
  readonly readyForMs: number;
}

async function runOnce(
  spec: ProcessSpec,
  deps: SupervisionDeps,
  state: State,
  onFirstReady: () => void,
): Promise<Ending> {
  const launchedAt = performance.now();
  const launched = launch(spec, deps);
  state.current = launched;
  const outcome = await raceToReady(launched, deps.readyWithinMs);
  const readyAt = performance.now();
  if (outcome === 'ready') {
    state.starts += 1;
    state.isReady = true;
    onFirstReady();
    deps.onEvent({ kind: 'ready', name: spec.name, tookMs: readyAt - launchedAt, starts: state.starts });
  }
  if (outcome === 'late') launched.kill('SIGKILL');
  const exit = await launched.exit;
  state.isReady = false;
  state.current = undefined;
  return {
    reason: outcome === 'late' ? `not ready after ${deps.readyWithinMs} ms` : describeExit(exit),
    isFinal: exit.code === EXIT_CONFIGURATION || exit.error !== undefined,
    readyForMs: outcome === 'ready' ? performance.now() - readyAt : 0,
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

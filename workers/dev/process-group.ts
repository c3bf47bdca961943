import { DomainError } from '../../domain/errors.ts';
import { RESTART_TIMING, type RestartTiming } from './backoff.ts';
import type { ProcessSpec } from './launch.ts';
import { createLogFile, type LogFile } from './log-file.ts';
import { type ProcessEvent, type SupervisedProcess, startSupervised } from './supervised-process.ts';

/** How often the sizes of the logs are looked at. */
const ROTATE_EVERY_MS = 5_000;

/** The first start of the workflow bundle on a slow, busy machine is the longest: tens of seconds. */
const READY_WITHIN_MS = 120_000;

/** One member of the group. */
export interface GroupMember extends ProcessSpec {
  /** Runs once it is ready for the first time, before those that come after it are started. */
  readonly onFirstReady?: () => Promise<void>;
}

/** What a group needs. */
export interface GroupOptions {
  readonly runDir: string;
  readonly logsDir: string;
  readonly onEvent: (event: ProcessEvent) => void;
  readonly timing?: RestartTiming;
  readonly readyWithinMs?: number;
  /** Gives the start up: everything is stopped again. */
  readonly signal?: AbortSignal;
}

/** Processes that run. */
export interface ProcessGroup {
  /** In the order in which they were given. */
  readonly processes: readonly SupervisedProcess[];
  /** Stops all, the last in the list first, each by its own grace. */
  stop(): Promise<void>;
}

/**
 * Starts processes, each as soon as those it comes after are ready, and resolves when all of them are.
 *
 * From then on each is restarted on its own. When one cannot be started, all are stopped again.
 *
 * @param members in the reverse order of their stop.
 * @throws what the first that failed gave.
 */
export async function startGroup(members: readonly GroupMember[], options: GroupOptions): Promise<ProcessGroup> {
  const logs: LogFile[] = [];
  const started = new Map<string, SupervisedProcess>();
  const ready = new Map(members.map(({ name }) => [name, Promise.withResolvers<void>()]));
  let isStopping = false;

  const startMember = async (member: GroupMember): Promise<void> => {
    await Promise.all(member.after.map((name) => ready.get(name)?.promise));
    if (isStopping) return;
    const log = createLogFile(`${options.logsDir}/${member.name}.log`);
    logs.push(log);
    const { runDir, onEvent, timing = RESTART_TIMING, readyWithinMs = READY_WITHIN_MS } = options;
    const supervised = startSupervised(member, { log, runDir, timing, readyWithinMs, onEvent });
    started.set(member.name, supervised);
    await supervised.ready;
    await member.onFirstReady?.();
    ready.get(member.name)?.resolve();
  };

  const inOrder = (): SupervisedProcess[] => members.flatMap(({ name }) => started.get(name) ?? []);
  const rotation = setInterval(() => {
    for (const log of logs) log.rotate();
  }, ROTATE_EVERY_MS);
  const stop = async (): Promise<void> => {
    isStopping = true;
    for (const process of inOrder().reverse()) await process.stop();
    clearInterval(rotation);
  };

  try {
    await Promise.race([Promise.all(members.map(startMember)), givenUp(options.signal)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { processes: inOrder(), stop };
}

function givenUp(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const cancel = (): void => reject(new DomainError('CANCELLED', 'the start was given up'));
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

import { flushCompileCache } from 'node:module';
import { createLog, type Log } from '../adapters/logging/log.ts';
import { isDomainError } from '../domain/errors.ts';

/** A role that runs in this process. */
export interface RunningRole {
  stop(): Promise<void>;
}

/** Starts a role from its environment. */
export type StartRole = (environment: Record<string, string | undefined>, log: Log) => Promise<RunningRole>;

/** Exit code for a wrong configuration (EX_CONFIG of sysexits): starting again would not help. */
export const EXIT_CONFIGURATION = 78;

/** Longest stop: the workers' own grace and force times (30 s and 45 s) fit in it. */
const STOP_BOUND_MS = 60_000;

/**
 * Runs one role as this process: starts it, says `ready` to a supervising parent, stops it on SIGTERM or SIGINT.
 *
 * Exit codes: 0 stopped in order, 78 the configuration is wrong, 1 anything else, a stop that hangs included.
 */
export async function runRole(role: string, start: StartRole): Promise<void> {
  const log = createLog({ role, level: process.env.LOG_LEVEL || 'info' });
  process.on('unhandledRejection', (error) => fail(log, error));
  process.on('uncaughtException', (error) => fail(log, error));
  const stopAsked = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
  try {
    const running = await start(process.env, log);
    log.info('ready');
    process.send?.('ready');
    // Node keeps what it has compiled at an orderly exit only: one that was killed would compile it all at each start.
    flushCompileCache();
    log.info({ signal: await stopAsked }, 'stopping');
    setTimeout(() => process.exit(1), STOP_BOUND_MS).unref();
    await running.stop();
    log.info('stopped');
    process.exit(0);
  } catch (error) {
    fail(log, error);
  }
}

function fail(log: Log, error: unknown): never {
  if (isDomainError(error) && error.code === 'CONFIGURATION') {
    log.fatal({ hint: error.hint }, error.message);
    process.exit(EXIT_CONFIGURATION);
  }
  log.fatal({ err: error }, 'ended by an error');
  process.exit(1);
}

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { endStaleProcesses, findStaleProcesses } from '../../workers/dev/pid-files.ts';
import type { TestInstallation } from './installation.ts';

/** What the supervisor prints when everything is up. */
const READY = 'Obiente Cloud is ready';

/** Later than any start that only found what is there; a start that hangs is given up. */
const PATIENCE_MS = 300_000;

/** Later than any stop in order. */
const STOP_MS = 60_000;

/**
 * Runs `npm start` of a checkout on an installation, its set-up included, and resolves when it is ready.
 *
 * @param stack takes its stop, from the first moment on: an interrupted start leaves no process either.
 * @returns stops it in order; what was deployed goes on running
 * @throws what it printed, when it ended or took too long instead
 */
export async function startCheckout(
  root: string,
  { environment, stateDir }: TestInstallation,
  stack: AsyncDisposableStack,
): Promise<() => Promise<void>> {
  // Its packages are installed where they are others: by an authority that stands before the registry, where one does.
  const { XDG_CACHE_HOME, DOCKER_HOST, NODE_EXTRA_CA_CERTS } = process.env;
  const env = { ...environment, XDG_CACHE_HOME, DOCKER_HOST, NODE_EXTRA_CA_CERTS };
  stack.defer(() => endRest(stateDir));
  // A group of its own, so that it is stopped as a whole and only by this process.
  const start = spawn(process.execPath, [join(root, 'scripts/start.mjs')], {
    ...{ env, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  });
  const stop = createStop(start);
  stack.defer(stop);
  await untilReady(start);
  return stop;
}

/** Asks it to stop and waits for its end; a supervisor that does not stop is ended with its group. */
function createStop(start: ChildProcess): () => Promise<void> {
  const closed = Promise.withResolvers<void>();
  start.once('close', () => closed.resolve());
  return async () => {
    start.kill('SIGTERM');
    const force = setTimeout(() => start.pid && process.kill(-start.pid, 'SIGKILL'), STOP_MS);
    await closed.promise;
    clearTimeout(force);
  };
}

/** Resolves at the line. @throws what was printed, when it ended or took too long instead */
function untilReady(start: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let printed = '';
    const giveUp = (why: string): void => reject(new Error(`${why}; it printed:\n${printed.slice(-4000)}`));
    const hang = setTimeout(() => giveUp(`not ready after ${PATIENCE_MS / 1000} s`), PATIENCE_MS);
    const see = (chunk: Buffer): void => {
      printed += chunk.toString('utf8');
      if (!printed.includes(READY)) return;
      clearTimeout(hang);
      resolve();
    };
    start.stdout?.on('data', see);
    start.stderr?.on('data', see);
    start.once('close', (code) => {
      clearTimeout(hang);
      giveUp(`npm start ended with ${code}`);
    });
  });
}

/** Ends by their noted ids the processes of a supervisor that had to be ended by force. */
async function endRest(stateDir: string): Promise<void> {
  const runDir = join(stateDir, 'run');
  if (existsSync(runDir)) await endStaleProcesses(runDir, findStaleProcesses(runDir));
}

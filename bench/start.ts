import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTestInstallation, type TestInstallation } from '../test/support/installation.ts';
import { endStaleProcesses, findStaleProcesses } from '../workers/dev/pid-files.ts';
import { cleaningUp } from './clean-up.ts';
import { atMost, type Bench, type Figure } from './figure.ts';

const START = join(import.meta.dirname, '../scripts/start.mjs');

/** What the supervisor prints when everything is up. */
const READY = 'Obiente Cloud is ready';

/** Later than any start that only found what is there; a start that hangs is given up. */
const PATIENCE_MS = 300_000;

/** Later than any stop in order. */
const STOP_MS = 60_000;

/** Seconds from the command to ready, on a state folder that an earlier start has made. */
const GOAL_SECOND = 15;

const SECOND_STARTS = 3;

/**
 * From the command, set-up included, to the line that says ready: on an empty state folder with nothing to download or
 * build, then on the folder that this left. Each is stopped in order before the next.
 */
export const bench: Bench = {
  name: 'start',
  about: 'npm start to ready, on a new state folder and on one that a start has made',
  run: () =>
    cleaningUp(async (stack) => {
      const installation = await createTestInstallation();
      stack.defer(installation.remove);
      stack.defer(() => endRest(installation));
      return await measure(installation, stack);
    }),
};

async function measure(installation: TestInstallation, stack: AsyncDisposableStack): Promise<readonly Figure[]> {
  // What the set-up would have to find by itself on a new folder.
  await rm(join(installation.stateDir, 'toolchain.json'));
  const first = await startAndStop(installation, stack);
  const next: number[] = [];
  for (let round = 0; round < SECOND_STARTS; round += 1) next.push(await startAndStop(installation, stack));
  return [
    atMost({ name: 'first start, warm cache', value: first, unit: 's', max: null }),
    atMost({
      name: `second start, slowest of ${SECOND_STARTS}`,
      value: Math.max(...next),
      unit: 's',
      max: GOAL_SECOND,
    }),
    atMost({ name: `second start, fastest of ${SECOND_STARTS}`, value: Math.min(...next), unit: 's', max: null }),
  ];
}

/** Seconds from the command to ready. */
async function startAndStop({ environment }: TestInstallation, stack: AsyncDisposableStack): Promise<number> {
  const { XDG_CACHE_HOME, DOCKER_HOST } = process.env;
  const env = { ...environment, XDG_CACHE_HOME, DOCKER_HOST };
  const begun = performance.now();
  // A group of its own, so that it is stopped as a whole and only by this process.
  const start = spawn(process.execPath, [START], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const stop = createStop(start);
  stack.defer(stop);
  await untilReady(start);
  const tookMs = performance.now() - begun;
  await stop();
  return tookMs / 1000;
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
async function endRest({ stateDir }: TestInstallation): Promise<void> {
  const runDir = join(stateDir, 'run');
  if (existsSync(runDir)) await endStaleProcesses(runDir, findStaleProcesses(runDir));
}

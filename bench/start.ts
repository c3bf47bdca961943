import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTestInstallation, type TestInstallation } from '../test/support/installation.ts';
import { startCheckout } from '../test/support/started-checkout.ts';
import { cleaningUp } from './clean-up.ts';
import { atMost, type Bench, type Figure } from './figure.ts';

const ROOT = join(import.meta.dirname, '..');

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
async function startAndStop(installation: TestInstallation, stack: AsyncDisposableStack): Promise<number> {
  const begun = performance.now();
  const stop = await startCheckout(ROOT, installation, stack);
  const tookMs = performance.now() - begun;
  await stop();
  return tookMs / 1000;
}

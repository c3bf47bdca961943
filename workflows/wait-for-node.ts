import { ActivityFailure, ApplicationFailure, sleep } from '@temporalio/workflow';

/** Pauses between two looks for a node, milliseconds: they double. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/**
 * Reserves places, and waits for a node where none is to be had just now. A control plane that was away, or a host that
 * stood still, finds its nodes lost for some seconds, and nothing is wrong with what was asked for.
 *
 * Waits in the workflow, not in the activity: there it would keep every other write waiting, that of a cancel too.
 *
 * @throws what the last look was refused with, once `patienceMs` have passed; at once when waiting would not help
 */
export async function waitForNode<Answer>(reserve: () => Promise<Answer>, patienceMs: number): Promise<Answer> {
  let left = patienceMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await reserve();
    } catch (error) {
      if (left <= 0 || !mayPass(error)) throw error;
    }
    await sleep(Math.min(pause, left));
    left -= pause;
  }
}

/** Failures of earlier versions say nothing of it, so what they recorded is replayed as it was. */
function mayPass(error: unknown): boolean {
  const failure = error instanceof ActivityFailure ? error.cause : error;
  if (!(failure instanceof ApplicationFailure)) return false;
  return (failure.details?.[0] as { mayPass?: boolean } | undefined)?.mayPass === true;
}

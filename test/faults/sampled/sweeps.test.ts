import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBed } from '../bed.ts';
import { chooseSeed } from '../random.ts';
import { checkLane, runSweep } from '../run-sweep.ts';
import type { Bed } from '../sweep.ts';
import { SWEEPS } from '../sweeps/all.ts';

/** Two platforms keep two cores busy; a third would only make each of them slower. */
const LANES = 2;

const seed = chooseSeed();
const stack = new AsyncDisposableStack();
let bed: Bed;
beforeAll(async () => {
  bed = await openBed(stack, { seed, lanes: LANES });
});
afterAll(async () => await stack.disposeAsync());

describe(`a sample of all faults; to replay it set FAULT_SEED=${seed}`, () => {
  it.each(SWEEPS)('$name: $about', async (sweep) => {
    const { failures, points, converged } = await runSweep(sweep, bed, { sampled: true });
    expect(failures).toEqual([]);
    expect(converged).toBe(points);
  });

  it('leaves every invariant unbroken: no secret in the clear, every history replays, nothing without an owner', async () => {
    const breaks = await Promise.all(bed.lanes.map((lane) => checkLane(lane, bed.replays)));
    expect(breaks.flat()).toEqual([]);
  });
});

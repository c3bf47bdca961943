import { openTestDocker } from '../support/docker.ts';
import { openLane } from './lane.ts';
import type { Course } from './operations.ts';
import { createRandom } from './random.ts';
import { startReplays } from './replays.ts';
import type { Bed, UnharmedCourse } from './sweep.ts';
import { measureUnharmed } from './unharmed.ts';

/** Opens as many lanes as asked for, side by side; everything is gone when the stack is disposed of. */
export async function openBed(
  stack: AsyncDisposableStack,
  { seed, lanes: count }: { readonly seed: string; readonly lanes: number },
): Promise<Bed> {
  const random = createRandom(seed);
  // What still works when a run is interrupted asks on: its connections are closed when nothing else is left.
  const connections = stack.use(new AsyncDisposableStack());
  const corner = await openTestDocker();
  stack.defer(corner.remove);
  const lanes = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const own = stack.use(new AsyncDisposableStack());
      return openLane({ stack: own, connections }, corner.image, random.fork(`lane ${index}`).next);
    }),
  );

  const replays = await startReplays(stack);
  const known = new Map<Course, Promise<UnharmedCourse>>();
  return {
    lanes,
    random,
    replays,
    unharmed: (course) => {
      const [lane] = lanes;
      if (!lane) throw new Error('a bed has at least one lane');
      const measured = known.get(course) ?? measureUnharmed(lane, course);
      known.set(course, measured);
      return measured;
    },
  };
}

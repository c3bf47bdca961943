import { setTimeout as delay } from 'node:timers/promises';
import type { MeteredContainer } from '../domain/metrics/reading.ts';
import type { ContainerDirectory } from './ports.ts';

/** Which containers run on this node, as far as Docker has told. */
export interface Discovery {
  /** The containers to measure now. Stays as it was while Docker is away. */
  containers(): ReadonlyMap<string, MeteredContainer>;
  /** Whether everything has been looked at: before that, what is not in `containers` may run all the same. */
  isSettled(): boolean;
  /** Follows Docker until stopped. */
  run(signal: AbortSignal): Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Creates the stage that knows what there is to measure: by Docker's events, and by a look at everything whenever they
 * may have been missed.
 *
 * A container is forgotten only when Docker says of that very one that it does not run: lists of a daemon that has just
 * restarted may be empty.
 *
 * @param known ids that an earlier process knew: they are looked at even when the daemon does not list them.
 */
export function createDiscovery(directory: ContainerDirectory, known: readonly string[] = []): Discovery {
  const running = new Map<string, MeteredContainer>();
  const toLookAt = new Set<string>(known);
  let isAllUnknown = false;
  let isSettled = false;
  let wake = (): void => undefined;

  const mark = (id: string | 'all'): void => {
    if (id === 'all') isAllUnknown = true;
    else toLookAt.add(id);
    wake();
  };

  const lookAtSome = async (): Promise<void> => {
    const isWhole = isAllUnknown;
    if (isAllUnknown) {
      const ids = await directory.listContainerIds();
      isAllUnknown = false;
      for (const id of [...ids, ...running.keys()]) toLookAt.add(id);
    }
    for (const id of [...toLookAt]) {
      toLookAt.delete(id);
      const found = await directory.findMetered(id).catch((error: unknown) => {
        toLookAt.add(id);
        throw error;
      });
      if (!found) running.delete(id);
      else if (running.get(id)?.startedAt !== found.startedAt) running.set(id, found);
    }
    isSettled ||= isWhole;
  };

  const look = async (signal: AbortSignal): Promise<void> => {
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        await untilMarked(signal);
        await lookAtSome();
        pauseMs = FIRST_PAUSE_MS;
      } catch {
        // Docker is away; what was not looked at is still marked.
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
  };

  const untilMarked = async (signal: AbortSignal): Promise<void> => {
    if (isAllUnknown || toLookAt.size > 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = resolve;
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    await promise;
    signal.removeEventListener('abort', onAbort);
  };

  return {
    containers: () => running,
    isSettled: () => isSettled,
    run: async (signal) => {
      const looking = look(signal);
      for await (const event of directory.followEvents(signal)) {
        mark(event.kind === 'connected' ? 'all' : event.containerId);
      }
      await looking;
    },
  };
}

import { afterEach, describe, expect, it } from 'vitest';
import type { ContainerEvent } from '../domain/container.ts';
import type { MeteredContainer } from '../domain/metrics/reading.ts';
import { eventually } from '../test/support/eventually.ts';
import { createDiscovery } from './discovery.ts';

function aContainer(id: string, startedAt = '2026-01-01T00:00:00Z'): MeteredContainer {
  return { id, pid: 1, startedAt, deploymentId: 'd', replicaId: `r1-${id}` };
}

describe('discovery', () => {
  const stop: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of stop.splice(0)) await end();
  });

  function open(known: readonly string[] = []) {
    const running = new Map([['a', aContainer('a')]]);
    const events: ContainerEvent[] = [{ kind: 'connected' }];
    const stopping = new AbortController();
    let wake = (): void => undefined;
    let [isAway, listed]: [boolean, string[] | undefined] = [false, undefined];
    const orAway = async <Answer>(answer: () => Answer): Promise<Answer> => {
      if (isAway) throw new Error('docker is away');
      return answer();
    };
    const discovery = createDiscovery(
      {
        listContainerIds: () => orAway(() => listed ?? [...running.keys()]),
        findMetered: (id) => orAway(() => running.get(id)),
        followEvents: async function* (signal) {
          signal.addEventListener('abort', () => wake());
          while (!signal.aborted) {
            yield* events.splice(0);
            await new Promise<void>((resolve) => {
              wake = resolve;
              if (events.length > 0 || signal.aborted) resolve();
            });
          }
        },
      },
      known,
    );
    const done = discovery.run(stopping.signal);
    stop.push(async () => {
      stopping.abort();
      await done;
    });
    return {
      running,
      ids: () => [...discovery.containers().keys()],
      isSettled: () => discovery.isSettled(),
      startedAt: (id: string) => discovery.containers().get(id)?.startedAt,
      tell: (event: ContainerEvent) => {
        events.push(event);
        wake();
      },
      set: (state: { away?: boolean; listed?: string[] }) => {
        isAway = state.away ?? isAway;
        listed = state.listed ?? listed;
      },
    };
  }

  it('finds what runs, what starts, and what starts again', async () => {
    const { ids, running, tell, startedAt } = open();
    await eventually(() => expect(ids()).toEqual(['a']));
    running.set('b', aContainer('b'));
    tell({ kind: 'changed', containerId: 'b' });
    await eventually(() => expect(ids()).toEqual(['a', 'b']));
    running.set('a', aContainer('a', '2026-01-01T00:00:09Z'));
    tell({ kind: 'changed', containerId: 'a' });
    await eventually(() => expect(startedAt('a')).toBe('2026-01-01T00:00:09Z'));
    running.delete('b');
    tell({ kind: 'removed', containerId: 'b' });
    await eventually(() => expect(ids()).toEqual(['a']));
  });

  it('keeps what it knows when a daemon that has just restarted lists nothing', async () => {
    const { ids, running, tell, set } = open();
    await eventually(() => expect(ids()).toEqual(['a']));
    set({ listed: [] });
    running.set('b', aContainer('b'));
    tell({ kind: 'connected' });
    tell({ kind: 'changed', containerId: 'b' });
    await eventually(() => expect(ids()).toEqual(['a', 'b']));
  });

  it('looks at what an earlier process knew, whatever the list says, before it calls anything ended', async () => {
    const { ids, isSettled, set } = open(['a', 'gone']);
    set({ listed: [], away: true });
    expect(isSettled()).toBe(false);
    set({ away: false });
    await eventually(() => expect(isSettled()).toBe(true));
    expect(ids()).toEqual(['a']);
  });

  it('keeps what it knows while Docker is away, and catches up when it is back', async () => {
    const { ids, running, tell, set } = open();
    await eventually(() => expect(ids()).toEqual(['a']));
    set({ away: true });
    running.clear();
    running.set('c', aContainer('c'));
    tell({ kind: 'connected' });
    tell({ kind: 'removed', containerId: 'a' });
    expect(ids()).toEqual(['a']);
    set({ away: false });
    await eventually(() => expect(ids()).toEqual(['c']));
  });
});

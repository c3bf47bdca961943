import { describe, expect, it } from 'vitest';
import { addRequests, NO_REQUESTS, type RequestCounters } from '../domain/metrics/requests.ts';
import type { RequestMinuteRow } from '../domain/metrics/rows.ts';
import { eventually } from '../test/support/eventually.ts';
import { createLiveRequests } from './live-requests.ts';
import { createRequestCollector, type RequestState } from './request-collector.ts';

const DEPLOYMENT = '00000000-0000-4000-8000-000000000001';
const MINUTE_MS = 60_000;

/** An ingress, a disk and a clock that outlive the collector. */
function aWorld() {
  const world = {
    ingress: { startedAtMs: 5, services: new Map<string, RequestCounters>(), looks: 0, isAway: false },
    kept: undefined as RequestState | undefined,
    rows: [] as RequestMinuteRow[],
    nowMs: 600_000,
    diesBeforeHandingOn: false,
  };
  const live = createLiveRequests({ retentionMs: 300_000, intervalMs: 5_000 });
  const start = () => {
    const stop = new AbortController();
    const collector = createRequestCollector({
      live,
      ingress: {
        read: async () => {
          world.ingress.looks += 1;
          if (world.ingress.isAway) throw new Error('it is away');
          const services = [...world.ingress.services].map(
            ([name, counters]) => [name, { deploymentId: name.slice(0, 36), counters }] as const,
          );
          return { startedAtMs: world.ingress.startedAtMs, services: new Map(services) };
        },
      },
      states: {
        load: async () => structuredClone(world.kept),
        save: async (state) => {
          world.kept = structuredClone(state);
        },
      },
      onRows: (rows) => {
        if (world.diesBeforeHandingOn) throw new Error('killed');
        world.rows.push(...rows);
      },
      onTrouble: () => undefined,
      nodeId: () => 'node',
      intervalMs: 1,
      minuteMs: MINUTE_MS,
      clock: { now: () => world.nowMs, monotonic: () => performance.now() },
    });
    const running = collector.run(stop.signal);
    const look = async (): Promise<void> => {
      const before = world.ingress.looks;
      await eventually(() => expect(world.ingress.looks).toBeGreaterThan(before + 1));
    };
    return {
      look,
      collector,
      stop: async () => {
        stop.abort();
        await running;
      },
    };
  };
  const serve = (requests: number, name: string = DEPLOYMENT): void => {
    const counters = { ...NO_REQUESTS, requests, status2xx: requests };
    world.ingress.services.set(name, addRequests(world.ingress.services.get(name) ?? NO_REQUESTS, counters));
  };
  const stored = (): number => {
    const rows = new Map(world.rows.map((row) => [`${row.deploymentId} ${row.minuteMs}`, row.requests]));
    return [...rows.values()].reduce((sum, requests) => sum + requests, 0);
  };
  return { world, live, start, serve, stored };
}

describe('the collector of requests', () => {
  it('counts from its first look on, over all services of a deployment, by the minute', async () => {
    const { world, live, start, serve, stored } = aWorld();
    serve(100);
    const { look, collector, stop } = start();
    await look();
    serve(3);
    serve(4, `${DEPLOYMENT}-r2`);
    await look();
    expect(collector.takeFresh()).toMatchObject([{ deploymentId: DEPLOYMENT, requests: 7 }]);
    expect(collector.takeFresh().length).toBeLessThanOrEqual(1);
    world.nowMs += MINUTE_MS;
    await look();
    await stop();
    expect(stored()).toBe(7);
    expect(world.rows).toMatchObject([{ nodeId: 'node', minuteMs: 600_000, requests: 7, status2xx: 7 }]);
    expect(live.since(DEPLOYMENT, 0).at(-1)?.requests).toBe(7);
  });

  it('counts what an ingress answered since it was started anew', async () => {
    const { world, start, serve, stored } = aWorld();
    const { look, stop } = start();
    await look();
    serve(10);
    await look();
    world.ingress.startedAtMs += 1;
    world.ingress.services.clear();
    serve(50);
    await look();
    world.nowMs += MINUTE_MS;
    await look();
    await stop();
    expect(stored()).toBe(60);
  });

  it('loses and doubles nothing when it is stopped or killed at the worst moment and started again', async () => {
    const { world, start, serve, stored } = aWorld();
    const first = start();
    await first.look();
    serve(5);
    await first.look();
    await first.stop();
    serve(6);
    const second = start();
    await second.look();
    world.diesBeforeHandingOn = true;
    world.nowMs += MINUTE_MS;
    await second.look();
    const atDeath = world.kept;
    await second.stop();
    world.kept = atDeath;
    world.diesBeforeHandingOn = false;
    serve(7);
    const third = start();
    await third.look();
    world.nowMs += MINUTE_MS;
    await third.look();
    await third.stop();
    expect(stored()).toBe(18);
  });

  it('has no rows of minutes in which the ingress told nothing, and goes on when it is back', async () => {
    const { world, start, serve, stored } = aWorld();
    serve(0);
    const { look, stop } = start();
    await look();
    world.ingress.isAway = true;
    await look();
    world.nowMs += 3 * MINUTE_MS;
    await look();
    serve(9);
    world.ingress.isAway = false;
    await look();
    world.nowMs += MINUTE_MS;
    await look();
    await stop();
    expect(stored()).toBe(9);
    expect(world.rows.map(({ minuteMs }) => minuteMs)).toEqual([600_000, 600_000 + 3 * MINUTE_MS]);
  });
});

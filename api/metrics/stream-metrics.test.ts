import { create } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../domain/metrics/conflating-buffer.ts';
import { type ContainerSample, ContainerSampleSchema } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { Streamer } from '../gateways/streamers.ts';
import { type MetricsStreamDeps, streamMetrics } from './stream-metrics.ts';

/** A node's streamer that the test drives. */
class FakeStreamer {
  readonly opened: (number | undefined)[] = [];
  #send: ((delivery: Delivery<ContainerSample> | Error) => void) | undefined;

  get isOpen(): boolean {
    return this.#send !== undefined;
  }

  send(delivery: Delivery<ContainerSample> | Error): void {
    if (!this.#send) throw new Error('nobody reads');
    this.#send(delivery);
  }

  async *open(afterMs: number | undefined, signal: AbortSignal): AsyncGenerator<Delivery<ContainerSample>> {
    this.opened.push(afterMs);
    const waiting: (Delivery<ContainerSample> | Error)[] = [];
    let wake = (): void => undefined;
    this.#send = (delivery) => {
      waiting.push(delivery);
      wake();
    };
    signal.addEventListener('abort', () => wake());
    try {
      while (!signal.aborted) {
        const next = waiting.shift();
        if (next instanceof Error) throw next;
        if (next) yield next;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.#send = undefined;
    }
  }
}

function aRound(atMs: number, node: string, missedRounds = 0): Delivery<ContainerSample> {
  const sample = create(ContainerSampleSchema, { at: timestampFromMs(atMs), containerId: `of ${node}`, nodeId: node });
  return { samples: [sample], missedRounds };
}

describe('the samples of a deployment', () => {
  function open(options: { afterMs?: number; heartbeatMs?: number } = {}) {
    const nodes = new Map([
      ['a', new FakeStreamer()],
      ['b', new FakeStreamer()],
    ]);
    let present: string[] | undefined = ['a'];
    let listener = (): void => undefined;
    let isDatabaseAway = false;
    const deps: MetricsStreamDeps = {
      readStreamers: async () => {
        if (isDatabaseAway) throw new Error('the database is away');
        return present?.map((nodeId): Streamer => ({ nodeId, streamerUrl: 'http://example.test' }));
      },
      open: ({ nodeId }, { afterMs }, signal) => node(nodeId).open(afterMs, signal),
      subscribe: (added) => {
        listener = added;
        return () => {
          listener = () => undefined;
        };
      },
      heartbeatMs: options.heartbeatMs ?? 60_000,
      retryMs: { first: 1, longest: 2 },
      monotonic: () => performance.now(),
    };
    const node = (name: string): FakeStreamer => {
      const found = nodes.get(name);
      if (!found) throw new Error(`no node ${name}`);
      return found;
    };
    const stop = new AbortController();
    const stream = streamMetrics(deps, options.afterMs, stop.signal);
    const place = (names: string[] | undefined): void => {
      present = names;
      listener();
    };
    const next = async () => (await stream.next()).value as Delivery<ContainerSample> | undefined;
    const setDatabaseAway = (away: boolean): void => {
      isDatabaseAway = away;
    };
    return { node, next, place, stop, setDatabaseAway };
  }

  const shown = (delivery: Delivery<ContainerSample> | undefined) =>
    delivery?.samples.map(({ nodeId, at }) => `${nodeId} ${at ? timestampMs(at) : ''}`);

  it('come from every node that holds a replica, also from one that joins later', async () => {
    const { node, next, place, stop } = open();
    const first = next();
    await eventually(() => expect(node('a').isOpen).toBe(true));
    node('a').send(aRound(1, 'a'));
    expect(shown(await first)).toEqual(['a 1']);
    const second = next();
    place(['a', 'b']);
    await eventually(() => expect(node('b').isOpen).toBe(true));
    node('b').send(aRound(2, 'b'));
    expect(shown(await second)).toEqual(['b 2']);
    stop.abort();
  });

  it('go on after a streamer has been away, from the last sample on', async () => {
    const { node, next, stop } = open({ afterMs: 5 });
    const first = next();
    await eventually(() => expect(node('a').isOpen).toBe(true));
    node('a').send(aRound(10, 'a'));
    await first;
    const second = next();
    node('a').send(new Error('the streamer restarts'));
    await eventually(() => expect(node('a').opened).toEqual([5, 10]));
    node('a').send(aRound(15, 'a'));
    expect(shown(await second)).toEqual(['a 15']);
    stop.abort();
  });

  it('leave out a node that holds no replica any more, and end with the deployment', async () => {
    const { node, next, place } = open();
    const first = next();
    await eventually(() => expect(node('a').isOpen).toBe(true));
    place([]);
    await eventually(() => expect(node('a').isOpen).toBe(false));
    place(undefined);
    expect(await first).toBeUndefined();
  });

  it('go on while the database is away', async () => {
    const { node, next, place, setDatabaseAway, stop } = open();
    const first = next();
    await eventually(() => expect(node('a').isOpen).toBe(true));
    setDatabaseAway(true);
    place(['a', 'b']);
    node('a').send(aRound(1, 'a'));
    expect(shown(await first)).toEqual(['a 1']);
    const second = next();
    setDatabaseAway(false);
    await eventually(() => expect(node('b').isOpen).toBe(true));
    node('b').send(aRound(2, 'b'));
    expect(shown(await second)).toEqual(['b 2']);
    stop.abort();
  });

  it('are conflated for a reader that is slow, with every missed round counted', async () => {
    const { node, next, stop } = open();
    const first = next();
    await eventually(() => expect(node('a').isOpen).toBe(true));
    for (let atMs = 1; atMs <= 500; atMs += 1) node('a').send(aRound(atMs, 'a', atMs === 1 ? 7 : 0));
    let [delivered, missed, last]: [number, number, string | undefined] = [0, 0, undefined];
    for (let got = await first; last !== 'a 500'; got = await next()) {
      delivered += 1;
      missed += got?.missedRounds ?? 0;
      [last] = shown(got) ?? [];
      if (last === 'a 500') break;
    }
    expect(delivered + missed).toBe(507);
    stop.abort();
  });

  it('are a message without any when there was nothing for the time of a heartbeat', async () => {
    const { next, stop } = open({ heartbeatMs: 5 });
    expect(await next()).toEqual({ samples: [], missedRounds: 0 });
    expect(await next()).toEqual({ samples: [], missedRounds: 0 });
    stop.abort();
    expect(await next()).toBeUndefined();
  });
});

import { create } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { type ContainerSample, ContainerSampleSchema } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { NodeRound } from './merge-ticks.ts';
import { type Handed, type MetricsStreamDeps, type Place, streamMetrics } from './stream-metrics.ts';

/** A node's streamer that the test drives. */
class FakeStreamer {
  readonly opened: (number | undefined)[] = [];
  past: readonly ContainerSample[] = [];
  intervalMs = 60_000;
  #send: ((delivery: NodeRound | Error) => void) | undefined;

  get isOpen(): boolean {
    return this.#send !== undefined;
  }

  send(delivery: NodeRound | Error): void {
    if (!this.#send) throw new Error('nobody reads');
    this.#send(delivery);
  }

  async *open(afterMs: number | undefined, signal: AbortSignal): AsyncGenerator<NodeRound> {
    this.opened.push(afterMs);
    yield { samples: this.past, missedRounds: 0, isPast: true, intervalMs: this.intervalMs };
    const waiting: (NodeRound | Error)[] = [];
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

function aSample(atMs: number, node: string): ContainerSample {
  const replicaId = `r1-${node}`;
  const at = timestampFromMs(atMs);
  return create(ContainerSampleSchema, { at, containerId: `of ${node}`, nodeId: node, replicaId });
}

function aRound(atMs: number, node: string, missedRounds = 0): NodeRound {
  return { samples: [aSample(atMs, node)], missedRounds, isPast: false, intervalMs: 60_000 };
}

describe('the samples of a deployment', () => {
  function open(options: { afterMs?: number; heartbeatMs?: number; position?: [string, number][] } = {}) {
    const nodes = new Map([
      ['a', new FakeStreamer()],
      ['b', new FakeStreamer()],
    ]);
    let present: string[] | undefined = ['a'];
    let listener = (): void => undefined;
    let isDatabaseAway = false;
    let reader: Parameters<MetricsStreamDeps['register']>[0] | undefined;
    const deps: MetricsStreamDeps = {
      readPlaces: async () => {
        if (isDatabaseAway) throw new Error('the database is away');
        return present?.map(
          (nodeId): Place => ({
            ...{ nodeId, streamerUrl: 'http://example.test', holdsReplicas: true, replicaIds: [`r1-${nodeId}`] },
          }),
        );
      },
      patience: { maxRounds: 100, slowAfterMs: 50, stuckAfterMs: 100 },
      register: (added) => {
        reader = added;
        return () => undefined;
      },
      now: () => 1_000_000,
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
    const stream = streamMetrics(deps, { afterMs: options.afterMs, position: new Map(options.position) }, stop.signal);
    const place = (names: string[] | undefined): void => {
      present = names;
      listener();
    };
    const next = async () => (await stream.next()).value as Handed | undefined;
    const setDatabaseAway = (away: boolean): void => {
      isDatabaseAway = away;
    };
    return { node, next, place, stop, setDatabaseAway, reader: () => reader };
  }

  const shown = (handed: Handed | undefined) =>
    handed?.samples.map(({ nodeId, at }) => `${nodeId} ${at ? timestampMs(at) : ''}`);

  it('begin with the past of all nodes in one message, and go on with one message a tick', async () => {
    const { node, next, place, stop } = open();
    place(['a', 'b']);
    node('a').past = [aSample(1, 'a'), aSample(2, 'a')];
    node('b').past = [aSample(1, 'b')];
    expect(await next()).toMatchObject({ isPast: true, totals: null });
    const tick = next();
    await eventually(() => expect(node('b').isOpen).toBe(true));
    node('a').send(aRound(6, 'a'));
    node('b').send(aRound(7, 'b'));
    const handed = await tick;
    expect(shown(handed)).toEqual(['a 6', 'b 7']);
    expect(handed?.totals).toMatchObject({ replicas: 2, missingReplicaIds: [] });
    expect([...(handed?.position ?? [])]).toEqual([
      ['a', 6],
      ['b', 7],
    ]);
    stop.abort();
  });

  it('come from every node that holds a replica, also from one that joins later', async () => {
    const { node, next, place, stop } = open();
    await next();
    const first = next();
    node('a').send(aRound(1, 'a'));
    expect(shown(await first)).toEqual(['a 1']);
    const second = next();
    node('b').past = [aSample(1, 'b')];
    place(['a', 'b']);
    expect(shown(await second)).toEqual(['b 1']);
    const third = next();
    node('b').send(aRound(2, 'b'));
    node('a').send(aRound(2, 'a'));
    expect(shown(await third)).toEqual(['b 2', 'a 2']);
    stop.abort();
  });

  it('go on after a streamer has been away, from the last sample on', async () => {
    const { node, next, stop } = open({ afterMs: 5 });
    await next();
    const first = next();
    node('a').send(aRound(10, 'a'));
    await first;
    node('a').past = [aSample(15, 'a')];
    const second = next();
    node('a').send(new Error('the streamer restarts'));
    await eventually(() => expect(node('a').opened).toEqual([5, 10]));
    expect(shown(await second)).toEqual(['a 15']);
    stop.abort();
  });

  it('go on for a caller that comes back where it was told on each node', async () => {
    const { node, next, place, stop } = open({ afterMs: 5, position: [['b', 40]] });
    place(['a', 'b']);
    await next();
    expect([node('a').opened, node('b').opened]).toEqual([[5], [40]]);
    stop.abort();
  });

  it('say that a node is silent and which replica is missing, and show nothing old as new', async () => {
    const { node, next, place, stop } = open();
    place(['a', 'b']);
    node('b').past = [aSample(1, 'b')];
    node('b').intervalMs = 20;
    await next();
    const tick = next();
    node('a').send(aRound(5, 'a'));
    const handed = await tick;
    expect(shown(handed)).toEqual(['a 5']);
    expect(handed?.nodes).toMatchObject([
      { nodeId: 'a', isStale: false },
      { nodeId: 'b', isStale: true, heardAtMs: 1_000_000 },
    ]);
    expect(handed?.totals).toMatchObject({ replicas: 1, missingReplicaIds: ['r1-b'] });
    const back = next();
    node('b').send(aRound(9, 'b'));
    node('a').send(aRound(10, 'a'));
    expect((await back)?.totals).toMatchObject({ replicas: 2, missingReplicaIds: [] });
    stop.abort();
  });

  it('say how far a node has stepped back under load', async () => {
    const { node, next, place, stop } = open();
    place(['a']);
    await next();
    const tick = next();
    node('a').send({ ...aRound(5, 'a'), intervalMs: 20_000, degradationLevel: 2 });
    expect((await tick)?.nodes).toMatchObject([{ nodeId: 'a', intervalMs: 20_000, degradationLevel: 2 }]);
    stop.abort();
  });

  it('leave out a node that holds no replica any more, and end with the deployment', async () => {
    const { node, next, place } = open();
    await next();
    const first = next();
    place([]);
    await eventually(() => expect(node('a').isOpen).toBe(false));
    place(undefined);
    expect(await first).toBeUndefined();
  });

  it('go on while the database is away', async () => {
    const { node, next, place, setDatabaseAway, stop } = open();
    await next();
    const first = next();
    setDatabaseAway(true);
    place(['a', 'b']);
    node('a').send(aRound(1, 'a'));
    expect(shown(await first)).toEqual(['a 1']);
    const second = next();
    node('b').past = [aSample(2, 'b')];
    setDatabaseAway(false);
    expect(shown(await second)).toEqual(['b 2']);
    stop.abort();
  });

  it('are conflated for a reader that is slow, with every missed round counted', async () => {
    const { node, next, stop } = open();
    await next();
    const first = next();
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

  it('end for a reader that reads nothing for too long', async () => {
    const { node, next, reader } = open();
    await next();
    node('a').send(aRound(1, 'a'));
    await eventually(() => expect(reader()?.standing()).toBe('stuck'));
    reader()?.close();
    await expect(next()).rejects.toMatchObject({ code: 'SUBSCRIBER_TOO_SLOW' });
  });

  it('are a message without any when there was nothing for the time of a heartbeat', async () => {
    const { next, stop } = open({ heartbeatMs: 5 });
    await next();
    expect(await next()).toMatchObject({ samples: [], missedRounds: 0, nodes: [] });
    expect(await next()).toMatchObject({ samples: [], missedRounds: 0 });
    stop.abort();
    expect(await next()).toBeUndefined();
  });
});

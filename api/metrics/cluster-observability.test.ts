import { describe, expect, it } from 'vitest';
import { NOTHING_OBSERVED, type Observability } from '../../domain/metrics/observability.ts';
import { createClusterObservability } from './cluster-observability.ts';

function open(nodes: Readonly<Record<string, Observability | 'silent'>>) {
  let [clockMs, asked] = [0, 0];
  const current = new Map(Object.entries(nodes));
  const cluster = createClusterObservability({
    listStreamers: async () => [...current.keys()].map((nodeId) => ({ nodeId, streamerUrl: 'http://example.test' })),
    observe: async ({ nodeId }) => {
      asked += 1;
      const answer = current.get(nodeId);
      if (answer === undefined || answer === 'silent') throw new Error('no answer');
      return answer;
    },
    monotonic: () => clockMs,
  });
  const later = (): void => {
    clockMs += 5_000;
  };
  return { cluster, current, later, asked: () => asked };
}

describe('the counters of a cluster', () => {
  it('are the sum, and each node', async () => {
    const { cluster } = open({
      a: { ...NOTHING_OBSERVED, collection_count: 2 },
      b: { ...NOTHING_OBSERVED, collection_count: 5 },
      c: 'silent',
    });
    const answer = await cluster.read();
    expect(answer).toMatchObject({ collection_count: 7, healthy: true });
    expect(answer.nodes).toMatchObject([
      { node_id: 'a', reachable: true, collection_count: 2 },
      { node_id: 'b', reachable: true, collection_count: 5 },
      { node_id: 'c', reachable: false },
    ]);
  });

  it('are well without any node', async () => {
    const { cluster } = open({});
    expect(await cluster.read()).toEqual({ ...NOTHING_OBSERVED, nodes: [] });
    expect(await cluster.health()).toEqual({ healthy: true, consecutiveFailures: 0, degradationLevel: 0 });
  });

  it('are well, and say how far they have stepped back, while a node is under load', async () => {
    const { cluster } = open({ a: NOTHING_OBSERVED, b: { ...NOTHING_OBSERVED, degradation_level: 2 } });
    expect(await cluster.health()).toEqual({ healthy: true, consecutiveFailures: 0, degradationLevel: 2 });
  });

  it('are not well when a node says so', async () => {
    const { cluster } = open({
      a: NOTHING_OBSERVED,
      b: { ...NOTHING_OBSERVED, healthy: false, consecutive_failures: 4 },
    });
    expect(await cluster.health()).toEqual({ healthy: false, consecutiveFailures: 4, degradationLevel: 0 });
  });

  it('bear with a streamer that restarts, and not with one that stays away', async () => {
    const { cluster, current, later } = open({ a: 'silent' });
    const seen = [];
    for (const _ of [1, 2, 3]) {
      seen.push((await cluster.health()).healthy);
      later();
    }
    expect(seen).toEqual([true, true, false]);
    current.set('a', NOTHING_OBSERVED);
    expect(await cluster.health()).toEqual({ healthy: true, consecutiveFailures: 0, degradationLevel: 0 });
  });

  it('are asked for once, however many want them at a time', async () => {
    const { cluster, asked, later } = open({ a: NOTHING_OBSERVED });
    await Promise.all([cluster.read(), cluster.health(), cluster.read()]);
    expect(asked()).toBe(1);
    later();
    await cluster.read();
    expect(asked()).toBe(2);
  });
});

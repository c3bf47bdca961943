import { describe, expect, it } from 'vitest';
import type { MeteredContainer } from '../domain/metrics/reading.ts';
import { aReading, aSample } from '../test/support/samples.ts';
import type { Meter, ReadingSource } from './ports.ts';
import { createSampler } from './sampler.ts';

const NEVER = new Promise<never>(() => undefined);

function containers(...ids: string[]): Map<string, MeteredContainer> {
  const { deploymentId, replicaId } = aSample();
  const startedAt = '2026-01-01T00:00:00.000000001Z';
  return new Map(ids.map((id) => [id, { id, pid: 1, startedAt, deploymentId, replicaId }]));
}

function sourceOf(read: (id: string) => ReturnType<Meter['read']>, opened: string[] = []): ReadingSource {
  return {
    open: ({ id }) => {
      opened.push(id);
      return { read: () => read(id), close: () => undefined };
    },
  };
}

describe('a round', () => {
  it('ends by its deadline when one container hangs, and costs that one only its own samples', async () => {
    const source = sourceOf((id) => (id === 'hung' ? NEVER : aReading()));
    const sampler = createSampler({ source, maxWorkers: 2 });
    const round = await sampler.readRound(containers('a', 'hung', 'b', 'c'), 100);
    expect(round.samples.map(({ containerId }) => containerId).sort()).toEqual(['a', 'b', 'c']);
    expect(round.failed).toBe(1);
  });

  it('does not ask a container again while it still has not answered', async () => {
    let asked = 0;
    const source = sourceOf(() => {
      asked += 1;
      return NEVER;
    });
    const sampler = createSampler({ source, maxWorkers: 50 });
    for (const _ of [1, 2, 3]) expect(await sampler.readRound(containers('hung'), 20)).toMatchObject({ failed: 1 });
    expect(asked).toBe(1);
  });

  it('reads no more containers at a time than it may', async () => {
    let [atOnce, most] = [0, 0];
    const source = sourceOf(async () => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      return aReading();
    });
    const ids = Array.from({ length: 30 }, (_, index) => `container ${index}`);
    const sampler = createSampler({ source, maxWorkers: 4 });
    expect((await sampler.readRound(containers(...ids), 10_000)).samples).toHaveLength(30);
    expect(most).toBe(4);
  });

  it('counts a container that fails, and not one that has ended', async () => {
    const source = sourceOf((id) => {
      if (id === 'fails') throw new Error('cannot be read');
      return id === 'ended' ? undefined : aReading();
    });
    const sampler = createSampler({ source, maxWorkers: 50 });
    expect(await sampler.readRound(containers('a', 'fails', 'ended'), 1_000)).toMatchObject({ failed: 1 });
    expect(await sampler.readRound(containers('ended'), 1_000)).toMatchObject({ failed: 0, samples: [] });
  });

  it('opens a container anew after a restart, and lets go of one that has left', async () => {
    const opened: string[] = [];
    const sampler = createSampler({ source: sourceOf(() => aReading(), opened), maxWorkers: 50 });
    const found = containers('a', 'b');
    await sampler.readRound(found, 1_000);
    await sampler.readRound(found, 1_000);
    const restarted = { ...found.get('a'), startedAt: '2026-01-01T00:00:09Z' } as MeteredContainer;
    const { samples } = await sampler.readRound(new Map([['a', restarted]]), 1_000);
    expect(opened).toEqual(['a', 'b', 'a']);
    expect(samples.map(({ containerId }) => containerId)).toEqual(['a']);
  });

  it('begins with another container each time, and tells how many did not have their turn', async () => {
    const asked: string[] = [];
    const source = sourceOf((id) => {
      asked.push(id);
      return NEVER;
    });
    const sampler = createSampler({ source, maxWorkers: 1 });
    const found = containers('a', 'b', 'c');
    expect(await sampler.readRound(found, 20)).toMatchObject({ failed: 3, unbegun: 2, readMs: 0 });
    expect(await sampler.readRound(found, 20)).toMatchObject({ failed: 3 });
    expect(new Set(asked).size).toBe(2);
  });

  it('counts what a container got over a network that it has left', async () => {
    const eth0 = { receiveBytes: 100, receivePackets: 1, transmitBytes: 10, transmitPackets: 1 };
    const looks = [{ eth0, eth1: eth0 }, { eth0 }, { eth0: { ...eth0, receiveBytes: 130 } }];
    const source = sourceOf(() => ({ ...aReading(), interfaces: looks.shift() ?? {} }));
    const sampler = createSampler({ source, maxWorkers: 1 });
    const received: (number | undefined)[] = [];
    for (const _ of [1, 2, 3]) {
      const { samples } = await sampler.readRound(containers('a'), 1_000);
      received.push(samples[0]?.counters.networkReceiveBytes);
    }
    expect(received).toEqual([200, 200, 230]);
  });
});

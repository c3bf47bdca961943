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
    const sampler = createSampler({ sources: [source], maxWorkers: 2, deadlineMs: 100 });
    const round = await sampler.readRound(containers('a', 'hung', 'b', 'c'));
    expect(round.samples.map(({ containerId }) => containerId).sort()).toEqual(['a', 'b', 'c']);
    expect(round.failed).toBe(1);
  });

  it('does not ask a container again while it still has not answered', async () => {
    let asked = 0;
    const source = sourceOf(() => {
      asked += 1;
      return NEVER;
    });
    const sampler = createSampler({ sources: [source], maxWorkers: 50, deadlineMs: 20 });
    for (const _ of [1, 2, 3]) expect(await sampler.readRound(containers('hung'))).toMatchObject({ failed: 1 });
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
    const sampler = createSampler({ sources: [source], maxWorkers: 4, deadlineMs: 10_000 });
    expect((await sampler.readRound(containers(...ids))).samples).toHaveLength(30);
    expect(most).toBe(4);
  });

  it('counts a container that fails, and not one that has ended', async () => {
    const source = sourceOf((id) => {
      if (id === 'fails') throw new Error('cannot be read');
      return id === 'ended' ? undefined : aReading();
    });
    const sampler = createSampler({ sources: [source], maxWorkers: 50, deadlineMs: 1_000 });
    expect(await sampler.readRound(containers('a', 'fails', 'ended'))).toMatchObject({ failed: 1 });
    expect(await sampler.readRound(containers('ended'))).toMatchObject({ failed: 0, samples: [] });
  });

  it('reads a container by the first source that can, and opens it anew after a restart', async () => {
    const [first, second]: [string[], string[]] = [[], []];
    const fast = sourceOf(() => aReading(), first);
    const fastForSome: ReadingSource = { open: (one) => (one.id === 'slow' ? undefined : fast.open(one)) };
    const sampler = createSampler({
      sources: [fastForSome, sourceOf(() => aReading(), second)],
      maxWorkers: 50,
      deadlineMs: 1_000,
    });
    const found = containers('fast', 'slow');
    await sampler.readRound(found);
    await sampler.readRound(found);
    const restarted = { ...found.get('fast'), startedAt: '2026-01-01T00:00:09Z' } as MeteredContainer;
    await sampler.readRound(new Map([...found, ['fast', restarted]]));
    expect(first).toEqual(['fast', 'fast']);
    expect(second).toEqual(['slow']);
  });
});

import type { Sample } from '../domain/metrics/reading.ts';
import { createRing, type Ring } from './ring.ts';

/** How much is kept in memory. */
export interface LiveCacheOptions {
  /** Age at which a sample is dropped, milliseconds. */
  readonly retentionMs: number;
  /** Time between two rounds, milliseconds. */
  readonly intervalMs: number;
  /** Samples of one deployment at most, over all its containers. */
  readonly maxPerDeployment: number;
}

/** The samples of the last minutes. */
export interface LiveCache {
  add(samples: readonly Sample[], nowMs: number): void;
  /** Samples of a deployment taken after a moment, oldest round first. */
  since(deploymentId: string, afterMs: number): readonly Sample[];
  /** Newest sample of each of a deployment's containers. */
  latest(deploymentId: string): readonly Sample[];
  /** Samples held. */
  size(): number;
}

type Rings = Map<string, Ring<Sample>>;

/** Creates the stage that remembers: a ring of fixed size per container. */
export function createLiveCache(options: LiveCacheOptions): LiveCache {
  const deployments = new Map<string, Rings>();
  const capacity = Math.max(1, Math.min(options.maxPerDeployment, Math.ceil(options.retentionMs / options.intervalMs)));

  const ringOf = ({ deploymentId, containerId }: Sample): Ring<Sample> => {
    const rings = deployments.get(deploymentId) ?? new Map<string, Ring<Sample>>();
    deployments.set(deploymentId, rings);
    const ring = rings.get(containerId) ?? createRing<Sample>(capacity);
    rings.set(containerId, ring);
    return ring;
  };

  const shrink = (rings: Rings, oldestMs: number): void => {
    for (const [containerId, ring] of rings) {
      while (ring.oldest && ring.oldest.atMs < oldestMs) ring.shift();
      if (ring.size === 0) rings.delete(containerId);
    }
    for (let excess = sizeOf(rings) - options.maxPerDeployment; excess > 0; excess -= 1) oldestOf(rings)?.shift();
  };

  const samplesOf = (deploymentId: string): readonly Ring<Sample>[] => [
    ...(deployments.get(deploymentId)?.values() ?? []),
  ];

  return {
    add: (samples, nowMs) => {
      for (const sample of samples) ringOf(sample).push(sample);
      for (const [deploymentId, rings] of deployments) {
        shrink(rings, nowMs - options.retentionMs);
        if (rings.size === 0) deployments.delete(deploymentId);
      }
    },
    since: (deploymentId, afterMs) =>
      samplesOf(deploymentId)
        .flatMap((ring) => [...ring.values()].filter((sample) => sample.atMs > afterMs))
        .sort((a, b) => a.round - b.round),
    latest: (deploymentId) => samplesOf(deploymentId).flatMap((ring) => ring.newest ?? []),
    size: () => [...deployments.values()].reduce((sum, rings) => sum + sizeOf(rings), 0),
  };
}

function sizeOf(rings: Rings): number {
  return [...rings.values()].reduce((sum, ring) => sum + ring.size, 0);
}

function oldestOf(rings: Rings): Ring<Sample> | undefined {
  const round = (ring: Ring<Sample>): number => ring.oldest?.round ?? Number.POSITIVE_INFINITY;
  return [...rings.values()].reduce<Ring<Sample> | undefined>(
    (best, ring) => (best === undefined || round(ring) < round(best) ? ring : best),
    undefined,
  );
}

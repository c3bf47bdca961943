import { COUNTER_NAMES } from '../domain/metrics/counters.ts';
import type { Counters, Sample } from '../domain/metrics/reading.ts';
import { createRing, type Ring, ringBytes } from './ring.ts';

/** How much is kept in memory. */
export interface LiveCacheOptions {
  /** Age at which a sample is dropped, milliseconds. */
  readonly retentionMs: number;
  /** Time between two rounds, milliseconds. */
  readonly intervalMs: number;
  /** Samples of one deployment at most, over all its containers. */
  readonly maxPerDeployment: number;
}

/** A sample as it is kept: without what only the aggregator needs. */
export type LiveSample = Omit<Sample, 'incarnation' | 'source' | 'clockMs'>;

/** The samples of the last minutes. */
export interface LiveCache {
  add(samples: readonly LiveSample[], nowMs: number): void;
  /** Samples of a deployment taken after a moment, oldest round first. */
  since(deploymentId: string, afterMs: number): readonly LiveSample[];
  /** Newest sample of each of a deployment's containers. */
  latest(deploymentId: string): readonly LiveSample[];
  /** Samples held. */
  size(): number;
  /** Containers held: those that ran within the retention. */
  containers(): number;
  /** What the ring of one container takes, full or not. */
  readonly bytesPerContainer: number;
}

/** The numbers of a sample, in the order of the ring's columns; counters follow. */
const GAUGES = [
  'round',
  'atMs',
  'startedAtMs',
  'memoryBytes',
  'memoryLimitBytes',
  'pageCacheBytes',
  'pids',
] as const satisfies readonly (keyof LiveSample)[];

const [AT, CPU_PERCENT, FIRST_COUNTER] = [1, GAUGES.length, GAUGES.length + 1];
const COLUMNS = FIRST_COUNTER + COUNTER_NAMES.length;

type Identity = Pick<LiveSample, 'containerId' | 'deploymentId' | 'replicaId'>;

interface Kept {
  readonly identity: Identity;
  readonly ring: Ring;
}

type Containers = Map<string, Kept>;

/**
 * Creates the stage that remembers: a ring of numbers of fixed size per container, and who it is once.
 *
 * A container that has left is forgotten when its last sample is older than the retention.
 */
export function createLiveCache(options: LiveCacheOptions): LiveCache {
  const deployments = new Map<string, Containers>();
  const rows = Math.max(1, Math.min(options.maxPerDeployment, Math.ceil(options.retentionMs / options.intervalMs)));
  const shape = { rows, columns: COLUMNS };

  const keptOf = ({ containerId, deploymentId, replicaId }: LiveSample): Kept => {
    const containers = deployments.get(deploymentId) ?? new Map<string, Kept>();
    deployments.set(deploymentId, containers);
    const identity = { containerId, deploymentId, replicaId };
    const kept = containers.get(containerId) ?? { identity, ring: createRing(shape) };
    containers.set(containerId, kept);
    return kept;
  };

  const shrink = (containers: Containers, oldestMs: number): void => {
    for (const [containerId, { ring }] of containers) {
      while (ring.at(0, AT) < oldestMs) ring.shift();
      if (ring.size === 0) containers.delete(containerId);
    }
    for (let excess = sizeOf(containers) - options.maxPerDeployment; excess > 0; excess -= 1) {
      oldestOf(containers)?.shift();
    }
  };

  const keptBy = (deploymentId: string): readonly Kept[] => [...(deployments.get(deploymentId)?.values() ?? [])];

  return {
    bytesPerContainer: ringBytes(shape),
    add: (samples, nowMs) => {
      for (const sample of samples) keptOf(sample).ring.push(toNumbers(sample));
      for (const [deploymentId, containers] of deployments) {
        shrink(containers, nowMs - options.retentionMs);
        if (containers.size === 0) deployments.delete(deploymentId);
      }
    },
    since: (deploymentId, afterMs) =>
      keptBy(deploymentId)
        .flatMap((kept) => samplesAfter(kept, afterMs))
        .sort((a, b) => a.round - b.round),
    latest: (deploymentId) =>
      keptBy(deploymentId).flatMap((kept) => (kept.ring.size > 0 ? toSample(kept, kept.ring.size - 1) : [])),
    size: () => [...deployments.values()].reduce((sum, containers) => sum + sizeOf(containers), 0),
    containers: () => [...deployments.values()].reduce((sum, containers) => sum + containers.size, 0),
  };
}

function samplesAfter(kept: Kept, afterMs: number): LiveSample[] {
  const samples: LiveSample[] = [];
  for (let index = 0; index < kept.ring.size; index += 1) {
    if (kept.ring.at(index, AT) > afterMs) samples.push(toSample(kept, index));
  }
  return samples;
}

/** `cpuPercent` has no value in a run's first sample: that is NaN, which no measured value is. */
function toNumbers(sample: LiveSample): number[] {
  return [
    ...GAUGES.map((name) => sample[name]),
    sample.cpuPercent ?? Number.NaN,
    ...COUNTER_NAMES.map((name) => sample.counters[name]),
  ];
}

function toSample({ identity, ring }: Kept, index: number): LiveSample {
  const gauges = Object.fromEntries(GAUGES.map((name, column) => [name, ring.at(index, column)])) as Pick<
    LiveSample,
    (typeof GAUGES)[number]
  >;
  const counters = Object.fromEntries(
    COUNTER_NAMES.map((name, column) => [name, ring.at(index, FIRST_COUNTER + column)]),
  ) as unknown as Counters;
  const cpuPercent = ring.at(index, CPU_PERCENT);
  return { ...identity, ...gauges, cpuPercent: Number.isNaN(cpuPercent) ? null : cpuPercent, counters };
}

function sizeOf(containers: Containers): number {
  let size = 0;
  for (const { ring } of containers.values()) size += ring.size;
  return size;
}

/** The ring with the oldest round; of several the first. */
function oldestOf(containers: Containers): Ring | undefined {
  let oldest: Ring | undefined;
  for (const { ring } of containers.values()) {
    if (ring.size > 0 && (oldest === undefined || ring.at(0, 0) < oldest.at(0, 0))) oldest = ring;
  }
  return oldest;
}

import type { MinuteRow } from '../../domain/metrics/minutes.ts';
import type { Counters, Reading, Sample } from '../../domain/metrics/reading.ts';

/** Counters that all show the same. */
export function evenCounters(value: number): Counters {
  return {
    cpuNanos: value,
    cpuUserNanos: value,
    cpuSystemNanos: value,
    cpuThrottledNanos: value,
    networkReceiveBytes: value,
    networkTransmitBytes: value,
    networkReceivePackets: value,
    networkTransmitPackets: value,
    diskReadBytes: value,
    diskWriteBytes: value,
    diskReadOperations: value,
    diskWriteOperations: value,
    oomKills: value,
  };
}

/** A complete sample of a container that started at 600 s. */
export function aSample(changes: Partial<Sample> = {}): Sample {
  const atMs = changes.atMs ?? 600_000;
  return {
    round: 1,
    incarnation: 'first',
    source: 'cgroup',
    atMs,
    clockMs: atMs,
    counters: evenCounters(0),
    memoryBytes: 1000,
    memoryLimitBytes: 0,
    pageCacheBytes: 0,
    pids: 1,
    containerId: 'c'.repeat(64),
    deploymentId: '00000000-0000-4000-8000-000000000001',
    replicaId: 'r1-0',
    startedAtMs: 600_000,
    cpuPercent: null,
    ...changes,
  };
}

/** A reading that becomes the sample of the same values: of a container with one interface. */
export function aReading(changes: Partial<Sample> = {}): Reading {
  const { round, containerId, deploymentId, replicaId, startedAtMs, cpuPercent, ...read } = aSample(changes);
  const { counters } = read;
  const eth0 = {
    receiveBytes: counters.networkReceiveBytes,
    receivePackets: counters.networkReceivePackets,
    transmitBytes: counters.networkTransmitBytes,
    transmitPackets: counters.networkTransmitPackets,
  };
  return { ...read, interfaces: { eth0 } };
}

/** A complete minute row, of which nothing is zero. */
export function aMinuteRow(changes: Partial<MinuteRow> = {}): MinuteRow {
  return {
    ...evenCounters(7),
    containerId: 'c'.repeat(64),
    minuteMs: 600_000,
    deploymentId: '00000000-0000-4000-8000-000000000001',
    replicaId: 'r1-0',
    memoryAverageBytes: 10,
    memoryMaxBytes: 20,
    memoryLimitBytes: 30,
    pageCacheBytes: 5,
    pidsMax: 3,
    observedMs: 60_000,
    samples: 12,
    ...changes,
  };
}

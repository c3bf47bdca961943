import type { Counters, Sample } from '../../domain/metrics/reading.ts';

/** Counters that all show the same. */
export function evenCounters(value: number): Counters {
  return {
    cpuNanos: value,
    networkReceiveBytes: value,
    networkTransmitBytes: value,
    diskReadBytes: value,
    diskWriteBytes: value,
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
    pids: 1,
    containerId: 'c'.repeat(64),
    deploymentId: '00000000-0000-4000-8000-000000000001',
    replicaId: 'r1-0',
    startedAtMs: 600_000,
    cpuPercent: null,
    ...changes,
  };
}

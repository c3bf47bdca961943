import { describe, expect, it } from 'vitest';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import { addCounters, type CountedTo, countOn, NO_COUNTERS } from '../../domain/metrics/counters.ts';
import type { Counters, Sample } from '../../domain/metrics/reading.ts';
import { type ReadingSource, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { createSampler } from '../../streamer/sampler.ts';
import { createSourceChoice } from '../../streamer/source-choice.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { startReplica } from '../support/metered.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { tell } from '../support/told.ts';

const BUSY = ['sh', '-c', 'while :; do :; done'];
const ROUND_MS = 4_500;

describe('a container that is read in both ways', () => {
  const docker = useTestDocker();

  it('counts everything once while a container is read by files, by Docker, and by files again', async ({ task }) => {
    const { corner } = docker;
    const id = await startReplica(corner, { replicaId: 'r1-0', command: BUSY, cpuCores: 0.2 });
    const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 10_000 });
    const found = await createDockerMeteredContainers(connection, corner.instance).findMetered(id);
    if (!found) throw new Error('the container does not run');
    const files = createCgroupSource();
    const portable = createDockerStatsSource(connection, {
      ...{ gate: (call) => call(), maxWorkers: 50, deadlineMs: () => ROUND_MS },
    });
    let areFilesBroken = false;
    const breakable: ReadingSource = {
      open: (container) => {
        const meter = files.open(container);
        if (!meter || areFilesBroken) return undefined;
        const read = (signal: AbortSignal) => {
          if (areFilesBroken) throw new Error('the files cannot be read');
          return meter.read(signal);
        };
        return { read, close: meter.close };
      },
    };
    const choice = createSourceChoice({ sources: [breakable, portable], retryMs: 0, clock: SYSTEM_CLOCK });
    const sampler = createSampler({ source: choice, maxWorkers: 50 });
    const containers = new Map([[id, found]]);
    let to: CountedTo = { incarnation: '', source: 'cgroup', counters: NO_COUNTERS, seen: NO_COUNTERS };
    let total: Counters = NO_COUNTERS;
    const ways: string[] = [];
    let last: Sample | undefined;
    for (const broken of [false, false, true, true, false, true, false]) {
      areFilesBroken = broken;
      const { samples } = await sampler.readRound(containers, ROUND_MS);
      last = samples[0];
      if (!last) throw new Error('the container was not read');
      ways.push(last.source);
      const { used, after } = countOn(to, last);
      total = addCounters(total, used);
      to = after;
    }
    expect(ways).toEqual(['cgroup', 'cgroup', 'docker', 'docker', 'cgroup', 'docker', 'cgroup']);
    expect(total).toEqual(last?.counters);
    expect(total.cpuNanos).toBeGreaterThan(100_000_000);
    expect(total.networkReceivePackets).toBeGreaterThan(0);
    tell(task, total.cpuNanos, last?.counters.cpuNanos ?? 0, 'ns of processor time');
    sampler.close();
  });
});

import { readFileSync } from 'node:fs';
import { createCgroupSource } from '../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../adapters/docker/metered-containers.ts';
import type { MeteredContainer } from '../domain/metrics/reading.ts';
import { createSampler } from '../streamer/sampler.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../test/support/docker.ts';
import { startReplica } from '../test/support/metered.ts';
import { pathsOf } from './collection/floors.ts';
import { againstFloor, type Bench, type Figure, percentile } from './figure.ts';

/** Enough to outweigh what a round costs by itself, few enough to start in seconds. */
const CONTAINERS = 20;

const ROUNDS = 300;

/** Figures of the first rounds are those of code that is still being compiled. */
const WARM_UP = 100;

/** Reading all containers once: a round of the sampler, against opening and reading the same files of each. */
export const bench: Bench = {
  name: 'metrics-round',
  about: `one round of reading ${CONTAINERS} containers, against reading their counter files`,
  run: async () => {
    const corner = await openTestDocker();
    try {
      return await measure(await startContainers(corner));
    } finally {
      await corner.remove();
    }
  },
};

async function measure(containers: ReadonlyMap<string, MeteredContainer>): Promise<readonly Figure[]> {
  const sampler = createSampler({ source: createCgroupSource(), maxWorkers: 50 });
  const files = [...containers.values()].flatMap(pathsOf);
  const [rounds, floors]: [number[], number[]] = [[], []];
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const floor = await timed(async () => {
      for (const file of files) readFileSync(file);
    });
    const own = await timed(async () => {
      const { failed } = await sampler.readRound(containers, 5_000);
      if (failed > 0) throw new Error(`${failed} containers could not be read`);
    });
    if (round < WARM_UP) continue;
    rounds.push(own);
    floors.push(floor);
  }
  sampler.close();
  const at = (share: number) => ({ value: percentile(rounds, share), floor: percentile(floors, share) });
  return [
    againstFloor({ name: `round of ${CONTAINERS}, p50`, ...at(0.5), maxRatio: 1 }),
    againstFloor({ name: `round of ${CONTAINERS}, p95`, ...at(0.95), maxRatio: null }),
  ];
}

async function startContainers(corner: TestDocker): Promise<ReadonlyMap<string, MeteredContainer>> {
  const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 30_000 });
  const { findMetered } = createDockerMeteredContainers(connection, corner.instance);
  const containers = new Map<string, MeteredContainer>();
  for (let index = 0; index < CONTAINERS; index += 1) {
    const id = await startReplica(corner, { replicaId: `r1-${index}`, command: ['sleep', '3600'] });
    const found = await findMetered(id);
    if (found) containers.set(id, found);
  }
  return containers;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

import { createCgroupSource } from '../adapters/cgroup/cgroup-source.ts';
import { createSampler } from '../streamer/sampler.ts';
import { openTestDocker, type TestDocker } from '../test/support/docker.ts';
import { cleaningUp } from './clean-up.ts';
import { type Containers, growTo } from './collection/containers.ts';
import { measureCpuSlope } from './collection/cpu-slope.ts';
import { cpuMsOf, dockerPids } from './collection/process-use.ts';
import { growth, measureRounds, type RoundTimes, readAll } from './collection/rounds.ts';
import { measureStreamer } from './collection/streamer-cost.ts';
import { againstFloor, atMost, type Bench, type Figure, nearTarget } from './figure.ts';

const SIZES = [10, 50, 150];

/** Rounds by Docker take seconds where its collector is waited for. */
const DOCKER_ROUNDS = 4;

/** A hundred rounds in ten seconds are what a streamer does in eight minutes: whatever they cost Docker would show. */
const BUSY_ROUNDS = 100;
const BUSY_EVERY_MS = 100;
const WINDOWS = 3;

/** Rounds of collection by each way, and what a streamer costs its host. */
export const bench: Bench = {
  name: 'metrics-collection',
  about: 'rounds of 10, 50 and 150 containers by files and by Docker, against bare ones; what a streamer costs (8 min)',
  run: () =>
    cleaningUp(async (stack) => {
      const corner = await openTestDocker();
      stack.defer(corner.remove);
      return await measure(corner, stack);
    }),
};

async function measure(corner: TestDocker, stack: AsyncDisposableStack): Promise<readonly Figure[]> {
  const containers: Containers = new Map();
  const times: RoundTimes[] = [];
  for (const size of SIZES) {
    await growTo(corner, containers, size);
    times.push(await measureRounds(containers, DOCKER_ROUNDS));
  }
  const [largest] = times.slice(-1);
  if (!largest) throw new Error('nothing was measured');
  const { streamer, floor } = await measureStreamer(corner, containers, stack);
  return [
    ...times.flatMap(roundFigures),
    ...fasterThan(largest),
    // Below 1 is what a round costs by itself, whatever it reads.
    atMost({
      name: 'growth of CPU with containers',
      value: growth(times.map((one) => ({ containers: one.containers, value: one.filesCpu }))),
      ...{ unit: '', max: 1.1 },
    }),
    nearTarget({
      name: 'CPU shown, against the kernel',
      ...{ value: await measureCpuSlope(corner), unit: '', floor: 1, target: 1, tolerance: 0.1 },
    }),
    atMost({ name: 'Docker CPU a round by files', value: await dockerCost(containers), unit: 'ms', max: 2 }),
    beside('streamer, CPU of a core', streamer.cpuPercent, floor.cpuPercent, { unit: '%', max: 1.5 }),
    beside('streamer, memory', streamer.rssMebibytes, floor.rssMebibytes, { unit: 'MiB', max: 150 }),
  ];
}

function roundFigures({
  containers,
  files,
  bareFiles,
  filesCpu,
  bareFilesCpu,
  docker,
  barePool,
}: RoundTimes): Figure[] {
  return [
    againstFloor({ name: `${containers} by files, p50`, value: files, floor: bareFiles, maxRatio: 3 }),
    againstFloor({ name: `${containers} by files, CPU`, value: filesCpu, floor: bareFilesCpu, maxRatio: 3 }),
    againstFloor({ name: `${containers} by Docker, p50`, value: docker, floor: barePool, maxRatio: 1.1 }),
  ];
}

/**
 * How much faster files are than the bare pool. The time of a round on shared cores is mostly other processes' turns, so the
 * same by its CPU stands beside it: reading these files waits for nothing.
 */
function fasterThan({ containers, files, filesCpu, barePool }: RoundTimes): Figure[] {
  const figure = { unit: '×', floor: null, ratio: null };
  const [value, byCpu] = [barePool / files, barePool / filesCpu];
  const name = `${containers} by files, times faster`;
  return [
    { ...figure, name, value, goal: '>= 300 ×', holds: value >= 300 },
    { ...figure, name: `${name}, by CPU`, value: byCpu, goal: null, holds: true },
  ];
}

function beside(name: string, value: number, floor: number, goal: { unit: string; max: number }): Figure {
  return { ...atMost({ name, value, ...goal }), floor, ratio: value / floor };
}

/** CPU of the engines for one round, milliseconds: windows with rounds less windows without, in turn. */
async function dockerCost(containers: Containers): Promise<number> {
  const sampler = createSampler({ source: createCgroupSource(), maxWorkers: 50 });
  await readAll(sampler, containers);
  const window = async (work: () => Promise<void>): Promise<number> => {
    const [pids, before] = [dockerPids(), cpuMsOf(dockerPids())];
    for (let round = 0; round < BUSY_ROUNDS; round += 1) {
      const next = new Promise((resolve) => setTimeout(resolve, BUSY_EVERY_MS));
      await work();
      await next;
    }
    return cpuMsOf(pids) - before;
  };
  let difference = 0;
  for (let turn = 0; turn < WINDOWS; turn += 1) {
    difference -= await window(async () => undefined);
    difference += await window(() => readAll(sampler, containers));
  }
  sampler.close();
  return difference / (WINDOWS * BUSY_ROUNDS);
}

import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import type { ReadingSource } from '../../streamer/ports.ts';
import { createSampler, type Sampler } from '../../streamer/sampler.ts';
import { DOCKER_SOCKET } from '../../test/support/docker.ts';
import { percentile } from '../figure.ts';
import type { Containers } from './containers.ts';
import { createBarePool, openBareFiles } from './floors.ts';

/** What rounds of so many containers took, p50, milliseconds. */
export interface RoundTimes {
  readonly containers: number;
  readonly files: number;
  readonly bareFiles: number;
  /** CPU that they took, milliseconds. */
  readonly filesCpu: number;
  readonly bareFilesCpu: number;
  readonly docker: number;
  readonly barePool: number;
}

const ROUNDS = 300;

/** Figures of the first rounds are those of code that is still being compiled. */
const WARM_UP = 100;

const MAX_WORKERS = 50;
const DEADLINE_MS = 60_000;

/** Reads these containers in all ways, each round of ours beside one of its floor. */
export async function measureRounds(containers: Containers, dockerRounds: number): Promise<RoundTimes> {
  return { containers: containers.size, ...(await byFiles(containers)), ...(await byDocker(containers, dockerRounds)) };
}

async function byFiles(containers: Containers) {
  const sampler = createSampler({ source: createCgroupSource(), maxWorkers: MAX_WORKERS });
  const bare = openBareFiles(containers);
  const [own, floor]: [Timed[], Timed[]] = [[], []];
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const ofFloor = await timed(async () => bare.readAll());
    const ofOwn = await timed(() => readAll(sampler, containers));
    if (round < WARM_UP) continue;
    floor.push(ofFloor);
    own.push(ofOwn);
  }
  sampler.close();
  bare.close();
  const [times, cpus] = [[own, floor].map(midOf('ms')), [own, floor].map(midOf('cpuMs'))];
  const [files = 0, bareFiles = 0, filesCpu = 0, bareFilesCpu = 0] = [...times, ...cpus];
  return { files, bareFiles, filesCpu, bareFilesCpu };
}

async function byDocker(containers: Containers, rounds: number) {
  const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 30_000 });
  const source: ReadingSource = createDockerStatsSource(connection, {
    gate: (call) => call(),
    maxWorkers: MAX_WORKERS,
    deadlineMs: () => DEADLINE_MS,
  });
  const sampler = createSampler({ source, maxWorkers: MAX_WORKERS });
  const pool = createBarePool();
  const [own, floor]: [number[], number[]] = [[], []];
  const warmUp = Math.ceil(rounds / 2);
  for (let round = 0; round < warmUp + rounds; round += 1) {
    const { ms: floorMs } = await timed(() => pool.readAll(containers));
    const { ms: ownMs } = await timed(() => readAll(sampler, containers));
    if (round < warmUp) continue;
    floor.push(floorMs);
    own.push(ownMs);
  }
  sampler.close();
  pool.close();
  return { docker: percentile(own, 0.5), barePool: percentile(floor, 0.5) };
}

/** One round, of which nothing may be missing. */
export async function readAll(sampler: Sampler, containers: Containers): Promise<void> {
  const { failed } = await sampler.readRound(containers, DEADLINE_MS);
  if (failed > 0) throw new Error(`${failed} containers could not be read`);
}

interface Timed {
  readonly ms: number;
  readonly cpuMs: number;
}

function midOf(what: keyof Timed): (rounds: readonly Timed[]) => number {
  return (rounds) =>
    percentile(
      rounds.map((round) => round[what]),
      0.5,
    );
}

async function timed(work: () => Promise<void>): Promise<Timed> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const used = process.cpuUsage(before);
  return { ms: performance.now() - start, cpuMs: (used.user + used.system) / 1_000 };
}

/** How a value grows with the number of containers: 1 when it doubles with it (log-log, least squares). */
export function growth(points: readonly { readonly containers: number; readonly value: number }[]): number {
  return slope(points.map(({ containers, value }) => [Math.log(containers), Math.log(value)]));
}

/** Of the straight line through these points, by least squares. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return covariance / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

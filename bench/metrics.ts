import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Api } from '../cli/client.ts';
import { OperationState } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import type { ContainerSample, StreamMetricsResponse } from '../gen/obiente/cloud/v1/metrics_pb.ts';
import { createSubject, type SpecInit } from '../test/integration/deployed.ts';
import { eventually } from '../test/support/eventually.ts';
import { type Bed, onPlatform } from './bed.ts';
import { atMost, type Bench, type Figure, nearFloor, nearTarget } from './figure.ts';
import { type KernelReading, kernelCpuPercent, kernelMemoryBytes, recordKernel } from './kernel.ts';

const MEBIBYTE = 1024 * 1024;

/** Spans between samples over which CPU is compared. */
const SPANS = 8;

/** Seconds from the end of a rollout to its second sample: two rounds of 5 s, and what it takes to tell of them. */
const GOAL_TWO_SAMPLES = 12;

/** Longest wait for each sample: rounds are 5 s apart. */
const PATIENCE_MS = 10_000;

const BUSY = 'trap "exit 0" TERM; while :; do :; done';

/** Holds 40 MiB of anonymous memory. */
const HUNGRY = 'trap "exit 0" TERM; x=$(head -c 41943040 /dev/zero | tr "\\0" x); sleep 3600 & wait';

/**
 * What the live stream of the API says of real containers, against what the kernel's own files say of them, read all
 * the while by this process. Each deployment begins right after a round of reading, so its samples come nearly as late
 * as they can.
 */
export const bench: Bench = {
  name: 'metrics',
  about: 'time to two live samples; CPU and memory of a sample, against the counters of the kernel',
  run: () => onPlatform(measure),
};

async function measure({ api, docker }: Bed): Promise<readonly Figure[]> {
  const busy = await follow(api, aLoad(docker.image, BUSY));
  const hungry = await follow(api, aLoad(docker.image, HUNGRY));
  const kernels = [];
  for (const { samples } of [busy, hungry]) {
    const id = samples[0]?.containerId ?? '';
    const { State } = await docker.client.getContainer(id).inspect();
    kernels.push(recordKernel({ id, pid: State.Pid }));
  }
  const [from, ofHungry] = [busy.samples.length, hungry.samples.length];
  await busy.untilSamples(from + SPANS + 1);
  await hungry.untilSamples(ofHungry + SPANS);
  // The kernel has to be read once more after the last sample.
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const kernel of kernels) kernel.stop();
  const [busyKernel = [], hungryKernel = []] = kernels.map(({ readings }) => readings);
  for (const { end } of [busy, hungry]) await end();
  const slowest = Math.max(busy.twoSamplesMs, hungry.twoSamplesMs);
  return [
    atMost({ name: 'two live samples, slower of 2', value: slowest / 1000, unit: 's', max: GOAL_TWO_SAMPLES }),
    ...cpuFigures(busy.samples.slice(from, from + SPANS + 1), busyKernel),
    memoryFigure(hungry.samples.slice(ofHungry, ofHungry + SPANS), hungryKernel),
  ];
}

function aLoad(image: string, script: string): SpecInit {
  return {
    source: { case: 'image', value: { reference: image } },
    command: ['/bin/sh', '-c', script],
    healthCheck: { kind: { case: 'none', value: {} } },
    limits: { cpuCores: 0.5, memoryBytes: BigInt(256 * MEBIBYTE) },
  } as SpecInit;
}

/** A deployment whose samples are collected as they come. */
interface Followed {
  /** From the end of the rollout to the arrival of the second sample after it. */
  readonly twoSamplesMs: number;
  readonly samples: readonly ContainerSample[];
  untilSamples(count: number): Promise<void>;
  /** Removes it. */
  end(): Promise<void>;
}

async function follow(api: Api, spec: SpecInit): Promise<Followed> {
  const subject = await createSubject(api, spec);
  const { state, errorMessage, finishedAt } = await subject.outcome();
  if (state !== OperationState.SUCCEEDED || !finishedAt) throw new Error(`it did not come up: ${errorMessage}`);
  const samples: ContainerSample[] = [];
  const ending = new AbortController();
  const collecting = collect(
    api.metrics.streamMetrics({ deploymentId: subject.id, after: finishedAt }, { signal: ending.signal }),
    samples,
  );
  const untilSamples = (count: number): Promise<void> =>
    eventually(
      () => {
        if (samples.length < count) throw new Error(`${samples.length} of ${count} samples came`);
      },
      { patienceMs: count * PATIENCE_MS },
    );
  await untilSamples(2);
  const twoSamplesMs = Date.now() - timestampMs(finishedAt);
  const end = async (): Promise<void> => {
    ending.abort();
    await collecting;
    await subject.remove();
  };
  return { twoSamplesMs, samples, untilSamples, end };
}

/** Takes samples as they come until the stream is ended. */
async function collect(messages: AsyncIterable<StreamMetricsResponse>, into: ContainerSample[]): Promise<void> {
  try {
    for await (const { samples } of messages) into.push(...samples);
  } catch {
    // Ended by us; had it broken before, samples would be missing and whoever waits for them says so.
  }
}

function cpuFigures(samples: readonly ContainerSample[], kernel: readonly KernelReading[]): Figure[] {
  const spans = samples.slice(1).map((sample, index) => {
    const [fromMs, toMs] = [msOf(samples[index]), msOf(sample)];
    return { value: sample.cpuPercent ?? Number.NaN, floor: kernelCpuPercent(kernel, fromMs, toMs) };
  });
  const mean = spans.reduce((sum, { value }) => sum + value, 0) / spans.length;
  const whole = kernelCpuPercent(kernel, msOf(samples[0]), msOf(samples.at(-1)));
  const [furthest = { value: Number.NaN, floor: Number.NaN }] = spans.toSorted(byDistance);
  return [
    nearTarget({ name: `CPU, mean of ${spans.length} samples`, value: mean, unit: '%', floor: whole, ...HALF_A_CORE }),
    nearFloor({ name: 'CPU, sample furthest from kernel', ...furthest, unit: '%', tolerance: 0.03 }),
  ];
}

const HALF_A_CORE = { target: 50, tolerance: 3 };

function memoryFigure(samples: readonly ContainerSample[], kernel: readonly KernelReading[]): Figure {
  const pairs = samples.map((sample) => ({
    value: Number(sample.memoryBytes) / MEBIBYTE,
    floor: kernelMemoryBytes(kernel, msOf(sample)) / MEBIBYTE,
  }));
  const [furthest = { value: Number.NaN, floor: Number.NaN }] = pairs.toSorted(byDistance);
  return nearFloor({ name: 'memory, furthest of samples', ...furthest, unit: 'MiB', tolerance: 0.05 });
}

interface Pair {
  readonly value: number;
  readonly floor: number;
}

/** Whose ratio is furthest from 1 comes first. */
function byDistance(one: Pair, other: Pair): number {
  const distance = ({ value, floor }: Pair): number => Math.abs(value / floor - 1);
  return distance(other) - distance(one);
}

function msOf(sample: ContainerSample | undefined): number {
  if (!sample?.at) throw new Error('a sample came without its time');
  return timestampMs(sample.at);
}

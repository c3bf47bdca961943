import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Sample } from '../domain/metrics/reading.ts';
import { StreamSamplesRequestSchema, StreamSamplesResponseSchema } from '../gen/obiente/internal/v1/gateways_pb.ts';
import { toContainerSample } from '../streamer/sample-message.ts';
import { eventually } from '../test/support/eventually.ts';
import { openGatewayRig } from '../test/support/gateway-rig.ts';
import { aSample, evenCounters } from '../test/support/samples.ts';
import type { ReaderOrder, ReaderReport } from './fan-out/readers.ts';
import { againstFloor, atMost, type Bench, type Figure, percentile, shareOfFloor } from './figure.ts';
import { openBareStream } from './floor/connect-stream.ts';

/** Blocks of one kind; they alternate, so that a busy machine is busy for both. */
const BLOCKS = 3;

/** Rounds of a block that count, and those before them, in which code is still being compiled and windows open. */
const ROUNDS = 20;
const WARM_UP = 5;

/** A batch of as many is 1.2 kB. */
const CONTAINERS = 5;

const PATH = '/obiente.internal.v1.StreamerGatewayService/StreamSamples';
const DEPLOYMENT = aSample().deploymentId;
const BODY = toBinary(StreamSamplesRequestSchema, create(StreamSamplesRequestSchema, { deploymentId: DEPLOYMENT }));

/** Rounds that wait for a stalled one, as by default. */
const BUFFER_ROUNDS = 100;

/** Fan-out of live metrics: the streamer's gateway as it is, against a service that yields the same message to everybody. */
export const bench: Bench = {
  name: 'metrics-fanout',
  about: 'live metrics to 100 and 1,000 subscribers, against a bare Connect stream; and with one of them stalled',
  run: async () => {
    const readers = fork(join(import.meta.dirname, 'fan-out/readers.ts'), { serialization: 'advanced' });
    const [own, floor] = [await openOwn(), await openFloor()];
    try {
      const figures = [
        ...(await compare(readers, { own, floor }, 100)),
        ...(await compare(readers, { own, floor }, 1_000)),
        ...(await stall(readers, own, 1_000)),
      ];
      return figures;
    } finally {
      readers.disconnect();
      await own.close();
      floor.close();
    }
  },
};

/** Who sends. */
interface Sender {
  readonly url: string;
  /** Messages that a reader gets before the first round. */
  readonly greeting: number;
  active(): number;
  publish(samples: readonly Sample[]): void;
}

async function openOwn() {
  const rig = await openGatewayRig({ bufferRounds: BUFFER_ROUNDS });
  const sender: Sender = {
    ...{ url: rig.url, greeting: 1, publish: rig.subscribers.publish },
    active: () => rig.subscribers.state().active,
  };
  return { ...sender, close: rig.close };
}

async function openFloor() {
  const bare = await openBareStream();
  const sender: Sender = {
    ...{ url: bare.url, greeting: 0, active: bare.active },
    publish: (samples) =>
      bare.publish({ samples: samples.map((sample) => toContainerSample(sample, 'node')), intervalMs: 5_000n }),
  };
  return { ...sender, close: bare.close };
}

/** What one block showed. */
interface Block {
  /** Messages that arrived in a second of wall time, from the sending of a round to the arrival at the last reader. */
  readonly perSecond: number;
  /** CPU of the sender for a message, microseconds. */
  readonly cpuMicros: number;
  /** From the sending of a round to the arrival at each reader, milliseconds. */
  readonly delaysMs: readonly number[];
}

let roundNumber = 0;

function aRound(): Sample[] {
  roundNumber += 1;
  const atMs = Date.now();
  return Array.from({ length: CONTAINERS }, (_, index) =>
    aSample({
      ...{
        round: roundNumber,
        atMs,
        startedAtMs: atMs - 86_400_000,
        cpuPercent: 12.5 + index,
        replicaId: `r1-${index}`,
      },
      ...{ containerId: `${index}`.padStart(64, 'c'), counters: evenCounters(123_456_789 + roundNumber), pids: 12 },
      ...{ memoryBytes: 123_456_789, memoryLimitBytes: 536_870_912 },
    }),
  );
}

async function runBlock(
  readers: ChildProcess,
  sender: Sender,
  { count, stalls = false }: { count: number; stalls?: boolean },
) {
  tell(readers, { kind: 'open', url: sender.url, path: PATH, count, body: BODY });
  if (stalls) tell(readers, { kind: 'stall', url: sender.url, path: PATH, body: BODY });
  await eventually(() => {
    if (sender.active() !== count + (stalls ? 1 : 0)) throw new Error(`${sender.active()} of ${count} are there`);
  });
  if (sender.greeting > 0) await reportOf(readers, sender.greeting);
  const delaysMs: number[] = [];
  let [beganMs, cpu] = [0, process.cpuUsage()];
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    if (round === WARM_UP) [beganMs, cpu] = [performance.now(), process.cpuUsage()];
    const report = reportOf(readers, sender.greeting + round + 1);
    const sentMs = performance.timeOrigin + performance.now();
    sender.publish(aRound());
    const { arrivals } = await report;
    if (round >= WARM_UP) for (const arrivedMs of arrivals) delaysMs.push(arrivedMs - sentMs);
  }

  const elapsedMs = performance.now() - beganMs;
  const used = process.cpuUsage(cpu);
  tell(readers, { kind: 'close' });
  await eventually(() => {
    // Who has left is noticed by the bare stream with the next message.
    if (sender.greeting === 0 && sender.active() > 0) sender.publish(aRound());
    if (sender.active() > 0) throw new Error(`${sender.active()} are still there`);
  });
  const messages = count * ROUNDS;
  const block: Block = {
    perSecond: messages / (elapsedMs / 1000),
    cpuMicros: (used.user + used.system) / messages,
    delaysMs,
  };
  return block;
}

async function compare(readers: ChildProcess, { own, floor }: { own: Sender; floor: Sender }, count: number) {
  const [owns, floors]: [Block[], Block[]] = [[], []];
  for (let block = 0; block < BLOCKS; block += 1) {
    floors.push(await runBlock(readers, floor, { count }));
    owns.push(await runBlock(readers, own, { count }));
  }
  // The best block of each: what else the machine does only ever takes away.
  const rate = (blocks: readonly Block[]): number => Math.max(...blocks.map(({ perSecond }) => perSecond));
  const cost = (blocks: readonly Block[]): number => Math.min(...blocks.map(({ cpuMicros }) => cpuMicros));
  const figures: Figure[] = [
    shareOfFloor({
      ...{ name: `messages to ${count} subscribers`, unit: '/s', minRatio: 0.8 },
      ...{ value: rate(owns), floor: rate(floors) },
    }),
    {
      ...againstFloor({ name: `CPU a message at ${count}`, value: cost(owns), floor: cost(floors), maxRatio: null }),
      unit: 'µs',
    },
  ];
  return figures;
}

async function stall(readers: ChildProcess, own: Sender, count: number): Promise<readonly Figure[]> {
  const [without, beside]: [number[], number[]] = [[], []];
  const heap = (): number => process.memoryUsage().heapUsed + process.memoryUsage().external;
  const before = heap();
  for (let block = 0; block < BLOCKS; block += 1) {
    without.push(...(await runBlock(readers, own, { count })).delaysMs);
    beside.push(...(await runBlock(readers, own, { count, stalls: true })).delaysMs);
  }
  const batch = create(StreamSamplesResponseSchema, {
    samples: aRound().map((sample) => toContainerSample(sample, 'node')),
  });
  return [
    againstFloor({
      ...{ name: `p99 of ${count} beside a stalled one`, maxRatio: 1.2 },
      ...{ value: percentile(beside, 0.99), floor: percentile(without, 0.99) },
    }),
    atMost({ name: 'one batch', value: toBinary(StreamSamplesResponseSchema, batch).length, unit: 'B', max: null }),
    atMost({
      ...{ name: `memory, growth over ${2 * BLOCKS * (ROUNDS + WARM_UP)} rounds`, unit: 'MiB', max: 100 },
      value: (heap() - before) / 1024 ** 2,
    }),
    atMost({ name: 'memory of the process', value: process.memoryUsage().rss / 1024 ** 2, unit: 'MiB', max: 500 }),
  ];
}

function tell(readers: ChildProcess, order: ReaderOrder): void {
  readers.send(order);
}

/** Waits until every reader has got so many messages. */
async function reportOf(readers: ChildProcess, messages: number): Promise<ReaderReport> {
  for (;;) {
    const [report] = (await once(readers, 'message')) as [ReaderReport];
    if (report.messages >= messages) return report;
  }
}

import { cpuPercentBetween } from '../domain/metrics/counters.ts';
import { followInterfaces, type NetworkHistory } from '../domain/metrics/interfaces.ts';
import type { MeteredContainer, Reading, Sample } from '../domain/metrics/reading.ts';
import type { Meter, ReadingSource } from './ports.ts';

/** What a round of reading brought. */
export interface Round {
  readonly number: number;
  readonly samples: readonly Sample[];
  /** Containers that could not be read this time. */
  readonly failed: number;
  /** From the round's start until the last container answered that did, milliseconds. One that hangs does not count. */
  readonly readMs: number;
  /** Containers whose turn had not come by the deadline. */
  readonly unbegun: number;
}

/** How rounds are read. */
export interface SamplerOptions {
  readonly source: ReadingSource;
  /** Containers read at the same time at most. */
  readonly maxWorkers: number;
}

/** Reads all containers, round by round. */
export interface Sampler {
  /**
   * Reads one round; it ends by its deadline, whatever a container does.
   *
   * @param deadlineMs what is not read by then fails in this round, milliseconds.
   */
  readRound(containers: ReadonlyMap<string, MeteredContainer>, deadlineMs: number): Promise<Round>;
  /** Lets go of everything that is held open. */
  close(): void;
}

/** One run of a container under measurement. */
interface Measured {
  readonly container: MeteredContainer;
  readonly meter: Meter;
  previous: Reading | undefined;
  network: NetworkHistory | undefined;
  /** A read that outlived its round: the container is left out until it ends, so that a hung one holds one call, not many. */
  isBusy: boolean;
  hasEnded: boolean;
}

/** Creates the stage that reads. */
export function createSampler(options: SamplerOptions): Sampler {
  const measured = new Map<string, Measured>();
  let number = 0;

  const follow = (containers: ReadonlyMap<string, MeteredContainer>): void => {
    for (const [id, { container, meter }] of measured) {
      if (containers.get(id)?.startedAt === container.startedAt) continue;
      meter.close();
      measured.delete(id);
    }
    for (const [id, container] of containers) {
      const meter = measured.has(id) ? undefined : openMeter(options.source, container);
      if (meter)
        measured.set(id, { container, meter, previous: undefined, network: undefined, isBusy: false, hasEnded: false });
    }
  };

  const readRound = async (containers: ReadonlyMap<string, MeteredContainer>, deadlineMs: number): Promise<Round> => {
    follow(containers);
    number += 1;
    const [round, samples, startedMs]: [number, Sample[], number] = [number, [], performance.now()];
    const waiting = inTurn(
      [...measured.values()].filter((one) => !one.hasEnded),
      round,
    );
    const unreadable = containers.size - measured.size;
    const expected = waiting.length + unreadable;
    const deadline = AbortSignal.timeout(deadlineMs);
    let [ended, readMs] = [0, 0];

    const work = async (): Promise<void> => {
      for (let one = waiting.shift(); one && !deadline.aborted; one = waiting.shift()) {
        if (one.isBusy) continue;
        const sample = await readOne(one, round, deadline);
        if (one.hasEnded) ended += 1;
        if (!sample || deadline.aborted) continue;
        samples.push(sample);
        readMs = performance.now() - startedMs;
      }
    };
    const workers = Array.from({ length: Math.min(options.maxWorkers, waiting.length) }, work);
    await Promise.race([Promise.all(workers), aborted(deadline)]);
    const taken = [...samples];
    const failed = expected - ended - taken.length;
    return { number: round, samples: taken, failed, readMs, unbegun: waiting.length };
  };

  return {
    readRound,
    close: () => {
      for (const { meter } of measured.values()) meter.close();
      measured.clear();
    },
  };
}

/** Another one begins each round, so that a slow one never keeps the same ones waiting. */
function inTurn(all: readonly Measured[], round: number): Measured[] {
  const first = all.length === 0 ? 0 : round % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

function openMeter(source: ReadingSource, container: MeteredContainer): Meter | undefined {
  try {
    return source.open(container);
  } catch {
    // Out of descriptors, for one: it counts as failed in this round, and the next round tries again.
    return undefined;
  }
}

async function readOne(one: Measured, round: number, signal: AbortSignal): Promise<Sample | undefined> {
  one.isBusy = true;
  try {
    const reading = await one.meter.read(signal);
    if (!reading) one.hasEnded = true;
    if (!reading || signal.aborted) return undefined;
    const sample = toSample(one, reading, round);
    one.previous = reading;
    return sample;
  } catch {
    // Counted as failed by its absence; the source's own trouble is what its breaker and the health check tell.
    return undefined;
  } finally {
    one.isBusy = false;
  }
}

/** Network counters rise over the loss of an interface; the rest is as it was read. */
function toSample(one: Measured, { interfaces, ...reading }: Reading, round: number): Sample {
  const { container, previous } = one;
  const { history, counters } = followInterfaces(one.network, { interfaces, source: reading.source });
  one.network = history;
  return {
    ...reading,
    counters: { ...reading.counters, ...counters },
    round,
    containerId: container.id,
    deploymentId: container.deploymentId,
    replicaId: container.replicaId,
    startedAtMs: Date.parse(container.startedAt),
    cpuPercent: cpuPercentBetween(previous, reading),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

import type { MinuteRow } from '../domain/metrics/minutes.ts';
import { toBatches } from '../domain/metrics/rows.ts';
import type { Discovery } from './discovery.ts';
import type { HealthCheck } from './health.ts';
import type { LiveCache } from './live-cache.ts';
import type { MinuteAggregator } from './minute-aggregator.ts';
import type { Observer } from './observability.ts';
import type { Clock } from './ports.ts';
import type { Sampler } from './sampler.ts';
import type { Subscribers } from './subscribers.ts';
import type { RowWriter } from './writer.ts';

/** The stages, in the order in which a sample passes them. */
export interface Stages {
  readonly discovery: Discovery;
  readonly sampler: Sampler;
  readonly cache: LiveCache;
  readonly subscribers: Pick<Subscribers, 'publish'>;
  readonly aggregator: MinuteAggregator;
  readonly writer: RowWriter;
  readonly observer: Observer;
  readonly health: HealthCheck;
}

/** When things happen. */
export interface PipelineOptions {
  readonly intervalMs: number;
  readonly healthIntervalMs: number;
  /** Rows that are written together. */
  readonly batchRows: number;
  /** How long a stop waits for the database, milliseconds. */
  readonly flushMs: number;
  readonly clock: Clock;
  /** Told of trouble that costs nothing but safety. */
  readonly onTrouble: (what: string, error: unknown) => void;
}

/** The running pipeline. */
export interface Pipeline {
  /** Takes the last round's rows to the database if it can be reached, and keeps the rest for the next process. */
  stop(): Promise<void>;
}

/** Sets the stages going: a round every interval, never two at a time; whatever is late is left out, not made up for. */
export function startPipeline(stages: Stages, options: PipelineOptions): Pipeline {
  const stopping = new AbortController();
  const writing = new AbortController();
  let round: Promise<void> | undefined;

  /** Rows, and up to where they count, survive this process from here on. */
  const store = (rows: readonly MinuteRow[]): void =>
    stages.writer.keep(toBatches({ kind: 'container', rows }, options.batchRows), stages.aggregator.state());

  const runRound = async (): Promise<void> => {
    const containers = stages.discovery.containers();
    const running = stages.discovery.isSettled() ? containers : undefined;
    const read = await stages.sampler.readRound(containers);
    const nowMs = options.clock.now();
    stages.observer.sawRound(read);
    stages.cache.add(read.samples, nowMs);
    stages.subscribers.publish(read.samples);
    const rows = [...stages.aggregator.add(read.samples), ...stages.aggregator.close(nowMs, running)];
    if (rows.length > 0) store(rows);
  };

  const tick = (): void => {
    if (round) return;
    const failed = (error: unknown): void => options.onTrouble('a round ended with an error', error);
    round = runRound()
      .catch(failed)
      .finally(() => {
        round = undefined;
      });
  };

  const rounds = setInterval(tick, options.intervalMs);
  const checks = setInterval(() => void stages.health.check(), options.healthIntervalMs);
  const following = stages.discovery.run(stopping.signal);
  const written = stages.writer.run(writing.signal);
  tick();

  return {
    stop: async () => {
      clearInterval(rounds);
      clearInterval(checks);
      stopping.abort();
      await Promise.all([round, following]);
      await stages.writer.flush(AbortSignal.timeout(options.flushMs));
      writing.abort();
      await written;
      store([]);
      stages.writer.close();
      stages.sampler.close();
    },
  };
}

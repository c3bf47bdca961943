import type { MinuteRow } from '../domain/metrics/minutes.ts';
import type { CheckpointStore } from './checkpoint.ts';
import { MAX_PENDING_ROWS } from './checkpoint.ts';
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
  readonly subscribers: Subscribers;
  readonly aggregator: MinuteAggregator;
  readonly writer: RowWriter;
  readonly checkpoints: CheckpointStore;
  readonly observer: Observer;
  readonly health: HealthCheck;
}

/** When things happen. */
export interface PipelineOptions {
  readonly intervalMs: number;
  readonly healthIntervalMs: number;
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
  let [round, storing]: [Promise<void> | undefined, Promise<void>] = [undefined, Promise.resolve()];

  const save = async (rows: readonly MinuteRow[], state = stages.aggregator.state()): Promise<void> => {
    const pending = [...stages.writer.pending(), ...rows].slice(-MAX_PENDING_ROWS);
    const trouble = (error: unknown): void => options.onTrouble('cannot keep the checkpoint', error);
    await stages.checkpoints.save({ state, pending }).catch(trouble);
  };

  const store = (rows: readonly MinuteRow[]): void => {
    const state = stages.aggregator.state();
    storing = storing.then(async () => {
      await save(rows, state);
      stages.writer.enqueue(rows);
    });
  };

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
      stages.health.stop();
      stopping.abort();
      await Promise.all([round, following, storing]);
      await storing;
      await stages.writer.flush(AbortSignal.timeout(options.flushMs));
      writing.abort();
      await written;
      await save([]);
      stages.sampler.close();
    },
  };
}

import type { NodeMinuteRow } from '../domain/metrics/node-minutes.ts';
import { type RowBatch, toBatches } from '../domain/metrics/rows.ts';
import type { Discovery } from './discovery.ts';
import type { HealthCheck } from './health.ts';
import type { LiveCache } from './live-cache.ts';
import type { MinuteAggregator } from './minute-aggregator.ts';
import type { NodeTotals } from './node-totals.ts';
import type { Observer } from './observability.ts';
import type { Pace } from './pace.ts';
import type { Clock } from './ports.ts';
import type { Sampler } from './sampler.ts';
import type { Subscribers } from './subscribers.ts';
import type { RowWriter } from './writer.ts';

/** The stages, in the order in which a sample passes them. */
export interface Stages {
  readonly discovery: Discovery;
  readonly pace: Pace;
  readonly sampler: Sampler;
  readonly nodeTotals: NodeTotals;
  readonly cache: LiveCache;
  readonly subscribers: Pick<Subscribers, 'publish'>;
  readonly aggregator: MinuteAggregator;
  readonly writer: RowWriter;
  readonly observer: Observer;
  readonly health: HealthCheck;
}

/** When things happen. */
export interface PipelineOptions {
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

/**
 * Sets the stages going: a round every interval, never two at a time; whatever is late is left out, not made up for. How
 * long the interval is, is the pace's to say after each round.
 */
export function startPipeline(stages: Stages, options: PipelineOptions): Pipeline {
  const stopping = new AbortController();
  const writing = new AbortController();
  let [round, next]: [Promise<void> | undefined, NodeJS.Timeout | undefined] = [undefined, undefined];

  /** Rows, and up to where they count, survive this process from here on. */
  const store = (batches: readonly RowBatch[]): void =>
    stages.writer.keep(
      batches.flatMap((batch) => toBatches(batch, options.batchRows)),
      { ...stages.aggregator.state(), node: stages.nodeTotals.state() },
    );

  /** What it costs when the host cannot be read is the host's row, not the containers'. */
  const readNode = (number: number): readonly NodeMinuteRow[] => {
    try {
      return stages.nodeTotals.read(number, options.clock.now());
    } catch (error) {
      options.onTrouble('the host could not be read', error);
      return [];
    }
  };

  const runRound = async (): Promise<void> => {
    const containers = stages.discovery.containers();
    const running = stages.discovery.isSettled() ? containers : undefined;
    const read = await stages.sampler.readRound(containers, stages.pace.deadlineMs());
    const nowMs = options.clock.now();
    stages.pace.sawRound(read);
    stages.observer.sawRound(read);
    stages.cache.add(read.samples, nowMs);
    stages.subscribers.publish(read.samples);
    const rows = [...stages.aggregator.add(read.samples), ...stages.aggregator.close(nowMs, running)];
    const nodeRows = readNode(read.number);
    if (rows.length + nodeRows.length === 0) return;
    store([
      { kind: 'container', rows },
      { kind: 'node', rows: nodeRows },
    ]);
  };

  const tick = (): void => {
    const startedMs = options.clock.monotonic();
    const failed = (error: unknown): void => options.onTrouble('a round ended with an error', error);
    round = runRound()
      .catch(failed)
      .finally(() => {
        const tookMs = options.clock.monotonic() - startedMs;
        if (!stopping.signal.aborted) next = setTimeout(tick, Math.max(0, stages.pace.intervalMs() - tookMs));
      });
  };

  const checks = setInterval(() => void stages.health.check(), options.healthIntervalMs);
  const following = stages.discovery.run(stopping.signal);
  const written = stages.writer.run(writing.signal);
  tick();

  return {
    stop: async () => {
      stages.health.stop();
      stopping.abort();
      clearTimeout(next);
      clearInterval(checks);
      await Promise.all([round, following]);
      await stages.writer.flush(AbortSignal.timeout(options.flushMs));
      writing.abort();
      await written;
      store([]);
      stages.writer.close();
      stages.sampler.close();
      stages.nodeTotals.close();
      stages.pace.close();
    },
  };
}

import { isDomainError } from '../../domain/errors.ts';
import { createWakeUp } from '../wake-up.ts';
import { createBoundedQueue } from './bounded-queue.ts';
import type { LogPositions } from './cursor.ts';

/** A container whose lines are wanted. */
export interface LogSource {
  readonly replicaId: string;
  readonly containerId: string;
  readonly nodeId: string;
  readonly gatewayUrl: string;
}

/** One line of a container. */
export interface SourceLine {
  /** Nanoseconds since 1970, as Docker stamped it. */
  readonly atNanos: bigint;
  readonly stream: string;
  readonly text: string;
}

/** A line of the merged stream, or a heartbeat without one. */
export interface MergedLine {
  readonly line: (SourceLine & { readonly replicaId: string }) | undefined;
  readonly cursor: string;
}

/** Which lines of one container. */
export interface SourceRequest {
  readonly tail: number;
  readonly follow: boolean;
  readonly afterNanos: bigint | undefined;
}

/** What merging needs of the world. */
export interface LogStreamDeps {
  /** The containers that there are now; `undefined` when the deployment is gone. */
  readonly readSources: () => Promise<readonly LogSource[] | undefined>;
  readonly open: (source: LogSource, request: SourceRequest, signal: AbortSignal) => AsyncIterable<SourceLine>;
  /** Calls the listener when there may be other containers. Returns how to end it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly heartbeatMs: number;
  /** First and longest pause before a container whose stream ended is read again, milliseconds. */
  readonly retryMs: { readonly first: number; readonly longest: number };
}

/** Lines of all containers held at a time, 16 KiB each at most: 4 MiB a reader. */
const MAX_HELD_LINES = 256;

/** Containers whose lines are merged; beyond it, the newest replicas are left out. */
const MAX_SOURCES = 1_000;

/** A replica that the cursor knows nothing of is read from so far back. */
const MAX_TAIL = 10_000;

/**
 * Merges the lines of a deployment's containers as they arrive; within a replica they keep their order.
 *
 * While following, containers that come up later join in, and a stream that broke is taken up after its last line. A
 * slow reader holds the nodes back: nothing piles up here. Without following it ends when every container's lines have
 * been sent, and fails when those of one cannot be had.
 */
export async function* streamLogs(
  deps: LogStreamDeps,
  wanted: {
    readonly tail: number;
    readonly follow: boolean;
    readonly positions: LogPositions;
    readonly resumed: boolean;
  },
  signal: AbortSignal,
): AsyncGenerator<MergedLine> {
  const { positions, follow } = wanted;
  const happened = createWakeUp();
  const queue = createBoundedQueue<SourceLine & { replicaId: string }>(MAX_HELD_LINES, happened.wake);
  const pumps = createPumps({ ...deps, ...wanted, queue, onChange: happened.wake }, signal);
  const unsubscribe = follow ? deps.subscribe(pumps.lookAgain) : () => undefined;
  const release = (): void => {
    unsubscribe();
    pumps.stop();
  };
  signal.addEventListener('abort', release, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      await pumps.startMissing();
      for (let line = queue.take(); line; line = queue.take()) {
        positions.passed(line.replicaId, line.atNanos);
        yield { line, cursor: positions.toCursor() };
      }
      if (pumps.hasEnded()) return;
      if (!(await happened.wait(deps.heartbeatMs, signal)) && !signal.aborted) {
        yield { line: undefined, cursor: positions.toCursor() };
      }
    }
  } finally {
    signal.removeEventListener('abort', release);
    release();
  }
}

interface PumpOptions extends LogStreamDeps {
  readonly queue: ReturnType<typeof createBoundedQueue<SourceLine & { replicaId: string }>>;
  readonly tail: number;
  readonly follow: boolean;
  readonly resumed: boolean;
  readonly positions: LogPositions;
  readonly onChange: () => void;
}

/** One reader per container, each at its own pace. */
function createPumps(options: PumpOptions, signal: AbortSignal) {
  const { follow, positions, retryMs } = options;
  const stopping = new AbortController();
  const all = AbortSignal.any([signal, stopping.signal]);
  const active = new Set<string>();
  const retries = new Map<string, { pauseMs: number; timer?: NodeJS.Timeout }>();
  const read = new Map<string, bigint>();
  let mustLook = true;
  let isGone = false;
  let failure: unknown;

  const lookAgain = (): void => {
    mustLook = true;
    options.onChange();
  };

  const requestOf = ({ replicaId, containerId }: LogSource): SourceRequest => {
    const afterNanos = read.get(containerId) ?? positions.of(replicaId);
    const tail = options.resumed || read.has(containerId) ? MAX_TAIL : options.tail;
    return { tail, follow, afterNanos };
  };

  const retryLater = (containerId: string): void => {
    const pauseMs = Math.min((retries.get(containerId)?.pauseMs ?? retryMs.first / 2) * 2, retryMs.longest);
    const timer = setTimeout(() => {
      retries.set(containerId, { pauseMs });
      lookAgain();
    }, pauseMs);
    retries.set(containerId, { pauseMs, timer });
  };

  const pump = async (source: LogSource): Promise<void> => {
    const { containerId, replicaId } = source;
    try {
      for await (const line of options.open(source, requestOf(source), all)) {
        await options.queue.put({ ...line, replicaId }, all);
        read.set(containerId, line.atNanos);
        retries.delete(containerId);
      }
    } catch (error) {
      // A container that went away meanwhile has no lines to miss.
      const isGoneContainer = isDomainError(error) && error.code === 'NOT_FOUND';
      if (!follow && !all.aborted && !isGoneContainer) failure ??= error;
    }
    active.delete(containerId);
    if (follow && !all.aborted) retryLater(containerId);
    options.onChange();
  };

  const startMissing = async (): Promise<void> => {
    if (!mustLook) return;
    mustLook = false;
    const sources = await options.readSources();
    isGone = sources === undefined;
    const present = new Set(sources?.map((source) => source.containerId));
    for (const known of read.keys()) if (!present.has(known) && !active.has(known)) read.delete(known);
    for (const source of sources?.slice(0, MAX_SOURCES) ?? []) {
      const isWaiting = retries.get(source.containerId)?.timer !== undefined;
      if (active.has(source.containerId) || isWaiting) continue;
      active.add(source.containerId);
      void pump(source);
    }
  };

  return {
    lookAgain,
    startMissing,
    /** Whether no more lines can come. @throws why lines could not be had */
    hasEnded: (): boolean => {
      if (failure !== undefined) throw failure;
      return active.size === 0 && (!follow || isGone);
    },
    stop: (): void => {
      for (const { timer } of retries.values()) clearTimeout(timer);
      stopping.abort();
    },
  };
}

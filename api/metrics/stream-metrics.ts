import { timestampMs } from '@bufbuild/protobuf/wkt';
import { createOutbox, type Outbox, type OutboxRules } from '../../domain/metrics/outbox.ts';
import { type ReplicaUse, type Totals, totalsOf } from '../../domain/metrics/totals.ts';
import type { ContainerSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { Streamer } from '../gateways/streamers.ts';
import { createWakeUp } from '../wake-up.ts';
import { createTickMerger, type LiveItem, type Tick } from './merge-ticks.ts';
import { createPumps, newestOf, type PumpDeps } from './pumps.ts';
import type { StreamPosition } from './stream-cursor.ts';

/** A node that is asked, and the replicas that ought to run there. */
export interface Place extends Streamer {
  /** Whether replicas are placed there; else it has an ingress only. */
  readonly holdsReplicas: boolean;
  readonly replicaIds: readonly string[];
}

/** What merging needs of the world. */
export interface MetricsStreamDeps extends Pick<PumpDeps, 'open' | 'retryMs'> {
  /** The nodes that hold replicas now, or have an ingress; `undefined` when the deployment is gone. */
  readonly readPlaces: () => Promise<readonly Place[] | undefined>;
  /** Calls the listener when there may be others. Returns how to end it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly heartbeatMs: number;
  readonly patience: Omit<OutboxRules, 'monotonic'>;
  /** A clock that never jumps, milliseconds. */
  readonly monotonic: () => number;
  readonly now: () => number;
  /** Told of the reader, who may turn out to be stuck where no error reaches him. Returns how to forget him. */
  readonly register: (reader: Pick<Outbox<unknown>, 'standing' | 'close'>) => () => void;
}

/** Where a reader begins. */
export interface Beginning {
  /** Only what was taken after this; `undefined` means all that is kept. */
  readonly afterMs: number | undefined;
  /** Goes before `afterMs` for the nodes that are in it. */
  readonly position: StreamPosition;
}

/** What is handed to the reader at once; without nodes it is a sign of life. */
export interface Handed extends Tick {
  /** `null` for the past. */
  readonly totals: Totals | null;
  /** Up to where each node has been told with this. */
  readonly position: StreamPosition;
}

/**
 * Merges what a deployment uses on all nodes that hold its replicas, tick by tick, until the caller leaves or the
 * deployment is gone.
 *
 * The first answer is the past, of all nodes together. Nodes join in and drop out as replicas come and go. One that does
 * not answer is tried again, from its last sample on, while the others go on; it is called stale meanwhile, its replicas
 * are missing in the totals, and nothing old is shown as new. Who reads slowly gets the newest values and a count of what
 * was missed. A message without samples is sent when there was none for `heartbeatMs`.
 *
 * @throws what the first look for the nodes threw; a later look that fails is made again. SUBSCRIBER_TOO_SLOW when nothing
 * was read for too long.
 */
export async function* streamMetrics(
  deps: MetricsStreamDeps,
  { afterMs, position }: Beginning,
  signal: AbortSignal,
): AsyncGenerator<Handed & { readonly wasSlow: boolean }> {
  const happened = createWakeUp();
  const outbox = createOutbox<LiveItem, Handed>({ ...deps.patience, monotonic: deps.monotonic, keyOf: keyOfItem });
  const merger = createTickMerger({ monotonic: deps.monotonic, now: deps.now });
  const complete = createCompleter(position);
  const take = (ticks: readonly Tick[]): void => {
    for (const tick of ticks) outbox.offer(complete.next(tick));
    if (ticks.length > 0) happened.wake();
  };
  const pumps = createPumps<Place>(
    {
      open: deps.open,
      retryMs: deps.retryMs,
      afterMsOf: (nodeId) => position.get(nodeId) ?? afterMs,
      onRound: (nodeId, round) => take(merger.hear(nodeId, round)),
      onPlaces: (places) => {
        merger.setNodes(places.map(({ nodeId }) => nodeId));
        complete.expect(places.flatMap(({ replicaIds }) => replicaIds));
      },
      onLookAgain: happened.wake,
    },
    signal,
  );
  const unsubscribe = deps.subscribe(pumps.lookAgain);
  const giveUp = (): void => {
    outbox.close();
    happened.wake();
  };
  const unregister = deps.register({ standing: outbox.standing, close: giveUp });
  let sentMs = deps.monotonic();
  try {
    for (;;) {
      if ((await pumps.follow(deps.readPlaces)) === 'gone') return;
      take(merger.look());
      while (outbox.size() > 0 || outbox.isClosed()) {
        const next = await outbox.next(signal);
        if (!next) return;
        sentMs = deps.monotonic();
        yield { ...next.round, wasSlow: next.wasSlow };
      }
      const patienceMs = Math.min(sentMs + deps.heartbeatMs, merger.nextLookMs()) - deps.monotonic();
      await happened.wait(Math.max(0, patienceMs), signal);
      if (signal.aborted) return;
      if (outbox.size() === 0 && deps.monotonic() - sentMs >= deps.heartbeatMs) {
        sentMs = deps.monotonic();
        yield { ...complete.nothing(), wasSlow: false };
      }
    }
  } finally {
    unsubscribe();
    unregister();
    pumps.stop();
  }
}

/** Adds to ticks what takes a memory: sums with rates, and the position. */
function createCompleter(start: StreamPosition) {
  let previous: ReadonlyMap<string, ReplicaUse> = new Map();
  let expected: readonly string[] = [];
  const position = new Map(start);

  return {
    expect: (replicaIds: readonly string[]): void => {
      expected = replicaIds;
    },
    next: (tick: Tick): Handed => {
      for (const [nodeId, items] of Map.groupBy(tick.samples, (item) => item.nodeId)) {
        const newest = newestOf(items, position.get(nodeId));
        if (newest !== undefined) position.set(nodeId, newest);
      }
      const uses = tick.samples.flatMap((item) => (isContainer(item) ? [toUse(item)] : []));
      const totals = tick.isPast ? null : totalsOf(uses, previous, expected);
      previous = newestByContainer(tick.isPast ? [...previous.values(), ...uses] : uses);
      return { ...tick, totals, position: new Map(position) };
    },
    nothing: (): Handed => ({
      ...{ samples: [], missedRounds: 0, isPast: false, nodes: [], totals: null },
      position: new Map(position),
    }),
  };
}

/** Whether it is of a container. */
export function isContainer(item: LiveItem): item is ContainerSample {
  return item.$typeName === 'obiente.cloud.v1.ContainerSample';
}

function keyOfItem(item: LiveItem): string {
  return isContainer(item) ? item.containerId : `requests ${item.nodeId}`;
}

function newestByContainer(uses: readonly ReplicaUse[]): ReadonlyMap<string, ReplicaUse> {
  const newest = new Map<string, ReplicaUse>();
  for (const use of uses) {
    if (use.atMs >= (newest.get(use.containerId)?.atMs ?? 0)) newest.set(use.containerId, use);
  }
  return newest;
}

function toUse(sample: ContainerSample): ReplicaUse {
  return {
    replicaId: sample.replicaId,
    containerId: sample.containerId,
    atMs: sample.at ? timestampMs(sample.at) : 0,
    startedAtMs: sample.startedAt ? timestampMs(sample.startedAt) : 0,
    cpuPercent: sample.cpuPercent ?? null,
    memoryBytes: Number(sample.memoryBytes),
    memoryLimitBytes: Number(sample.memoryLimitBytes),
    pids: sample.pids,
    networkReceiveBytes: Number(sample.networkReceiveBytes),
    networkTransmitBytes: Number(sample.networkTransmitBytes),
    diskReadBytes: Number(sample.diskReadBytes),
    diskWriteBytes: Number(sample.diskWriteBytes),
  };
}

import { createConflatingBuffer, type Delivery } from '../../domain/metrics/conflating-buffer.ts';
import type { ContainerSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { Streamer } from '../gateways/streamers.ts';
import { createWakeUp } from '../wake-up.ts';
import { createPumps, type PumpDeps } from './pumps.ts';

/** What merging needs of the world. */
export interface MetricsStreamDeps extends Pick<PumpDeps, 'open' | 'retryMs'> {
  /** The streamers of the nodes that hold replicas now; `undefined` when the deployment is gone. */
  readonly readStreamers: () => Promise<readonly Streamer[] | undefined>;
  /** Calls the listener when there may be others. Returns how to end it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly heartbeatMs: number;
  /** A clock that never jumps, milliseconds. */
  readonly monotonic: () => number;
}

/** Deliveries that wait for one reader, before they are conflated to the newest of each container. */
const MAX_HELD = 100;

/**
 * Merges the samples of a deployment from all nodes that hold its replicas, as they are taken, until the caller leaves
 * or the deployment is gone.
 *
 * Nodes join in and drop out as replicas come and go. One that does not answer is tried again, from its last sample on,
 * while the others go on. Who reads slowly gets the newest values and a count of what was missed. A message without
 * samples is sent when there was none for `heartbeatMs`.
 *
 * @throws what the first look for the streamers threw; a later look that fails is made again.
 */
export async function* streamMetrics(
  deps: MetricsStreamDeps,
  afterMs: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<Delivery<ContainerSample>> {
  const happened = createWakeUp();
  const buffer = createConflatingBuffer<ContainerSample>({
    maxRounds: MAX_HELD,
    keyOf: ({ containerId }) => containerId,
  });
  const onDelivery = (delivery: Delivery<ContainerSample>): void => {
    buffer.offer(delivery);
    happened.wake();
  };
  const pumps = createPumps({ ...deps, afterMs, onDelivery, onLookAgain: happened.wake }, signal);
  const unsubscribe = deps.subscribe(pumps.lookAgain);
  let sentMs = deps.monotonic();
  try {
    for (;;) {
      if ((await pumps.follow(deps.readStreamers)) === 'gone') return;
      for (let delivery = buffer.take(); delivery; delivery = buffer.take()) {
        sentMs = deps.monotonic();
        yield delivery;
      }
      await happened.wait(Math.max(0, sentMs + deps.heartbeatMs - deps.monotonic()), signal);
      if (signal.aborted) return;
      if (buffer.size === 0 && deps.monotonic() - sentMs >= deps.heartbeatMs) {
        sentMs = deps.monotonic();
        yield { samples: [], missedRounds: 0 };
      }
    }
  } finally {
    unsubscribe();
    pumps.stop();
  }
}

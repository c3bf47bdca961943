import { type ConflatingBuffer, createConflatingBuffer, type Delivery } from '../domain/metrics/conflating-buffer.ts';
import type { Sample } from '../domain/metrics/reading.ts';

/** How patient the streamer is with those who listen. */
export interface SubscribersOptions {
  /** Rounds that may wait for one subscriber before they are conflated. */
  readonly bufferRounds: number;
  /** A subscriber for whom something has waited so long counts as slow, milliseconds. */
  readonly slowAfterMs: number;
  readonly monotonic: () => number;
}

/** Those who listen. Nothing that one of them does, or leaves undone, holds up the sampler or another. */
export interface Subscribers {
  /**
   * Subscribes to a deployment until the signal is aborted; nothing else ends it. One for whom there is nothing is kept
   * as long as it likes.
   */
  subscribe(deploymentId: string, signal: AbortSignal): AsyncGenerator<Delivery<Sample>>;
  /** Hands a round to everybody whom it concerns. */
  publish(samples: readonly Sample[]): void;
  /** How they are doing: how many, how many slow ones, and how often anything was conflated so far. */
  state(): { readonly active: number; readonly slow: number; readonly overflows: number };
}

interface Subscriber {
  readonly deploymentId: string;
  readonly buffer: ConflatingBuffer<Sample>;
  /** Since when something has been waiting for it; `null` while it keeps up. */
  waitingSinceMs: number | null;
  wake: () => void;
}

/** Creates the stage that hands samples to subscribers. */
export function createSubscribers(options: SubscribersOptions): Subscribers {
  const subscribers = new Set<Subscriber>();
  let overflows = 0;

  const offer = (subscriber: Subscriber, samples: readonly Sample[]): void => {
    if (subscriber.buffer.offer({ samples, missedRounds: 0 })) overflows += 1;
    subscriber.waitingSinceMs ??= options.monotonic();
    subscriber.wake();
  };

  const next = async (subscriber: Subscriber, signal: AbortSignal): Promise<Delivery<Sample> | undefined> => {
    while (!signal.aborted) {
      const delivery = subscriber.buffer.take();
      subscriber.waitingSinceMs = subscriber.buffer.size > 0 ? options.monotonic() : null;
      if (delivery) return delivery;
      const { promise, resolve } = Promise.withResolvers<void>();
      subscriber.wake = resolve;
      await promise;
    }
    return undefined;
  };

  return {
    subscribe: (deploymentId, signal) => {
      const buffer = createConflatingBuffer<Sample>({
        maxRounds: options.bufferRounds,
        keyOf: (sample) => sample.containerId,
      });
      const subscriber: Subscriber = { deploymentId, buffer, waitingSinceMs: null, wake: () => undefined };
      const leave = (): void => {
        subscribers.delete(subscriber);
        subscriber.wake();
      };
      if (!signal.aborted) subscribers.add(subscriber);
      signal.addEventListener('abort', leave, { once: true });
      return deliveries(() => next(subscriber, signal), leave);
    },
    publish: (samples) => {
      if (subscribers.size === 0) return;
      const byDeployment = Map.groupBy(samples, (sample) => sample.deploymentId);
      for (const subscriber of subscribers) {
        const own = byDeployment.get(subscriber.deploymentId);
        if (own) offer(subscriber, own);
      }
    },
    state: () => {
      const isSlow = ({ waitingSinceMs }: Subscriber): boolean =>
        waitingSinceMs !== null && options.monotonic() - waitingSinceMs > options.slowAfterMs;
      return { active: subscribers.size, slow: [...subscribers].filter(isSlow).length, overflows };
    },
  };
}

async function* deliveries(
  next: () => Promise<Delivery<Sample> | undefined>,
  leave: () => void,
): AsyncGenerator<Delivery<Sample>> {
  try {
    for (let delivery = await next(); delivery; delivery = await next()) yield delivery;
  } finally {
    leave();
  }
}

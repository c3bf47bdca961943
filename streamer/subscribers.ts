import type { Delivery } from '../domain/metrics/conflating-buffer.ts';
import { createOutbox, type Outbox, type OutboxRules } from '../domain/metrics/outbox.ts';
import type { Sample } from '../domain/metrics/reading.ts';

/** What a subscriber may want: what is told of a deployment, of a container or of none. */
export interface Topic {
  readonly deploymentId: string;
  /** Unset for what is of the deployment as a whole. */
  readonly replicaId?: string;
}

/** What one subscriber wants. */
export interface Subscription {
  readonly deploymentId: string;
  /** Only these replicas; `undefined` means all, and what is of the deployment as a whole. */
  readonly replicaIds?: ReadonlySet<string> | undefined;
}

/** How patient the streamer is with those who listen, and how rounds are told apart. */
export interface SubscribersOptions<Item extends Topic> extends Omit<OutboxRules, 'maxRounds'> {
  /** Rounds that may wait for one subscriber before they are conflated. */
  readonly bufferRounds: number;
  /** Whose item it is: of one key only the newest survives when rounds are conflated. */
  readonly keyOf: (item: Item) => string;
}

/** A round for one subscriber, and whether that one has been slow in taking it. */
export interface Received<Item> extends Delivery<Item> {
  readonly wasSlow: boolean;
}

/** Those who listen. Nothing that one of them does, or leaves undone, holds up the sampler or another. */
export interface Subscribers<Item extends Topic = Sample> {
  /**
   * Subscribes until the signal is aborted. Every round is delivered, also one with nothing in it: who hears nothing knows
   * that the node is away. One who takes them is kept as long as he likes.
   *
   * @param onStuck called when the subscriber is given up, because it may be held up where no error reaches it.
   * @throws SUBSCRIBER_TOO_SLOW from the iteration, when nothing was taken for too long.
   */
  subscribe(subscription: Subscription, signal: AbortSignal, onStuck?: () => void): AsyncGenerator<Received<Item>>;
  /** Hands a round to everybody. */
  publish(items: readonly Item[]): void;
  /** Gives up those who are stuck. @returns how many. */
  sweep(): number;
  /** How they are doing: how many, how many slow ones, and how often anything was conflated so far. */
  state(): { readonly active: number; readonly slow: number; readonly overflows: number; readonly closed: number };
}

interface Subscriber<Item> {
  readonly subscription: Subscription;
  readonly outbox: Outbox<Delivery<Item>>;
  readonly onStuck: () => void;
}

/** Creates the stage that hands items to subscribers. */
export function createSubscribers<Item extends Topic>(options: SubscribersOptions<Item>): Subscribers<Item> {
  const subscribers = new Set<Subscriber<Item>>();
  const rules = { ...options, maxRounds: options.bufferRounds };
  let [overflows, closed] = [0, 0];

  return {
    subscribe: (subscription, signal, onStuck = () => undefined) => {
      const subscriber = { subscription, outbox: createOutbox<Item>(rules), onStuck };
      const leave = (): void => {
        subscribers.delete(subscriber);
        signal.removeEventListener('abort', leave);
        subscriber.outbox.wake();
      };
      if (!signal.aborted) subscribers.add(subscriber);
      signal.addEventListener('abort', leave, { once: true });
      return deliveries(subscriber.outbox, signal, leave);
    },
    publish: (items) => {
      if (subscribers.size === 0) return;
      // One round for all who want the same, so that a thousand subscribers cost one list.
      const rounds = new Map(
        [...Map.groupBy(items, ({ deploymentId }) => deploymentId)].map(([id, samples]) => [id, aRound(samples)]),
      );
      const nothing: Delivery<Item> = aRound([]);
      for (const { subscription, outbox } of subscribers) {
        const round = rounds.get(subscription.deploymentId) ?? nothing;
        if (outbox.offer(narrowed(round, subscription))) overflows += 1;
      }
    },
    sweep: () => {
      const stuck = [...subscribers].filter(({ outbox }) => outbox.standing() === 'stuck');
      for (const subscriber of stuck) {
        subscribers.delete(subscriber);
        subscriber.outbox.close();
        subscriber.onStuck();
      }
      closed += stuck.length;
      return stuck.length;
    },
    state: () => {
      const slow = [...subscribers].filter(({ outbox }) => outbox.standing() !== 'keeps up').length;
      return { active: subscribers.size, slow, overflows, closed };
    },
  };
}

function aRound<Item>(samples: readonly Item[]): Delivery<Item> {
  return { samples, missedRounds: 0 };
}

function narrowed<Item extends Topic>(round: Delivery<Item>, { replicaIds }: Subscription): Delivery<Item> {
  if (!replicaIds) return round;
  return aRound(round.samples.filter(({ replicaId }) => replicaId !== undefined && replicaIds.has(replicaId)));
}

async function* deliveries<Item>(
  outbox: Outbox<Delivery<Item>>,
  signal: AbortSignal,
  leave: () => void,
): AsyncGenerator<Received<Item>> {
  try {
    for (let next = await outbox.next(signal); next; next = await outbox.next(signal)) {
      yield { ...next.round, wasSlow: next.wasSlow };
    }
  } finally {
    leave();
  }
}

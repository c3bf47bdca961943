/** A queue that holds no more than its capacity: who puts waits until there is room. */
export interface BoundedQueue<Item> {
  /** Resolves once the item is in the queue; rejects with the signal's reason. */
  put(item: Item, signal: AbortSignal): Promise<void>;
  /** The oldest item, if there is one. */
  take(): Item | undefined;
}

/** Creates a queue; `onPut` is called after each item that came in. */
export function createBoundedQueue<Item>(capacity: number, onPut: () => void): BoundedQueue<Item> {
  const items: Item[] = [];
  const waiting = new Set<() => void>();
  const room = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const proceed = (): void => {
        waiting.delete(proceed);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        waiting.delete(proceed);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', leave, { once: true });
      waiting.add(proceed);
    });
  return {
    put: async (item, signal) => {
      signal.throwIfAborted();
      while (items.length >= capacity) await room(signal);
      items.push(item);
      onPut();
    },
    take: () => {
      const item = items.shift();
      const [first] = waiting;
      if (item !== undefined) first?.();
      return item;
    },
  };
}

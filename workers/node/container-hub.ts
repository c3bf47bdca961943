import type { ContainerEvent } from '../../domain/container.ts';

/** Spreads what Docker tells within this process. */
export interface ContainerHub {
  /** Calls back when something happened to one container, or may have. Answers with how to stop that. */
  onContainerChange(containerId: string, listener: () => void): () => void;
  /** Calls back for every event. */
  onEvent(listener: (event: ContainerEvent) => void): void;
  /** Follows the events until they end. */
  run(events: AsyncIterable<ContainerEvent>): Promise<void>;
}

/** Creates the hub. A new connection to Docker wakes everybody, since anything may have been missed before it. */
export function createContainerHub(): ContainerHub {
  const byContainer = new Map<string, Set<() => void>>();
  const forAll: ((event: ContainerEvent) => void)[] = [];

  const tell = (event: ContainerEvent): void => {
    for (const listener of forAll) listener(event);
    const concerned = event.kind === 'connected' ? byContainer.values() : [byContainer.get(event.containerId) ?? []];
    for (const listeners of concerned) for (const listener of listeners) listener();
  };

  return {
    onContainerChange: (containerId, listener) => {
      const listeners = byContainer.get(containerId) ?? new Set();
      byContainer.set(containerId, listeners.add(listener));
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0 && byContainer.get(containerId) === listeners) byContainer.delete(containerId);
      };
    },
    onEvent: (listener) => {
      forAll.push(listener);
    },
    run: async (events) => {
      for await (const event of events) tell(event);
    },
  };
}

/** Ended containers of one service that are remembered; a swarm itself keeps five, unless it was told otherwise. */
const MOST_IDS = 32;

/** Counts the containers of services that have ended, of which a swarm keeps only the last few. */
export interface RestartCount {
  /** Takes those that are there now. @returns how many there have been since this process knows the service. */
  count(serviceId: string, ended: readonly string[]): number;
  /** Lets go of a service that is gone. */
  forget(serviceId: string): void;
}

/** Creates the count: a cache. What ended before this process began is counted as far as the swarm has kept it. */
export function createRestartCount(): RestartCount {
  const known = new Map<string, { readonly ids: Set<string>; count: number }>();
  return {
    count: (serviceId, ended) => {
      const entry = known.get(serviceId) ?? { ids: new Set<string>(), count: 0 };
      for (const id of ended) {
        if (entry.ids.has(id)) continue;
        entry.ids.add(id);
        entry.count += 1;
        const [oldest] = entry.ids;
        if (entry.ids.size > MOST_IDS && oldest !== undefined) entry.ids.delete(oldest);
      }
      if (entry.count > 0) known.set(serviceId, entry);
      return entry.count;
    },
    forget: (serviceId) => {
      known.delete(serviceId);
    },
  };
}

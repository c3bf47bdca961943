import pLimit, { type LimitFunction } from 'p-limit';

/** Runs at most `concurrency` tasks per key at a time; keys without tasks are forgotten. */
export function createLimiter(concurrency: number): <T>(key: string, task: () => Promise<T>) => Promise<T> {
  const limits = new Map<string, LimitFunction>();
  return async (key, task) => {
    const limit = limits.get(key) ?? pLimit(concurrency);
    limits.set(key, limit);
    try {
      return await limit(task);
    } finally {
      if (limit.activeCount + limit.pendingCount === 0) limits.delete(key);
    }
  };
}

/** Places for work that only so much of may go on at a time. */
export interface Slots {
  /**
   * Takes a place, after all who asked before.
   *
   * @param onWait called when there is none free.
   * @returns how to give it back. @throws the reason of the signal, which leaves the line.
   */
  take(signal: AbortSignal, onWait: () => void): Promise<() => void>;
}

/** Creates so many places. */
export function createSlots(count: number): Slots {
  let free = count;
  const line = new Set<() => void>();

  const giveBack = (): void => {
    const [first] = line;
    if (first) first();
    else free += 1;
  };
  const waitInLine = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const leave = (): void => {
        line.delete(enter);
        reject(signal.reason as Error);
      };
      const enter = (): void => {
        line.delete(enter);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      signal.addEventListener('abort', leave, { once: true });
      line.add(enter);
    });
  return {
    take: async (signal, onWait) => {
      signal.throwIfAborted();
      if (free > 0) free -= 1;
      else {
        onWait();
        await waitInLine(signal);
      }
      let isTaken = true;
      return () => {
        if (isTaken) giveBack();
        isTaken = false;
      };
    },
  };
}

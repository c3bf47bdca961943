/** A ready answer for ingresses. */
export interface IngressAnswer {
  /** Grows whenever the body becomes another; of this process only. */
  readonly version: number;
  readonly generation: number;
  readonly body: Buffer;
}

/** Keeps the newest answer and wakes those who wait for another. */
export function createIngressAnswers() {
  let answer: IngressAnswer | undefined;
  const waiting = new Set<() => void>();
  return {
    /** The newest answer; `undefined` until there is one. */
    current: (): IngressAnswer | undefined => answer,
    /** Takes a body for the newest answer, unless it is the same one. Returns whether it is another. */
    replace(generation: number, body: Buffer): boolean {
      if (answer?.body.equals(body)) return false;
      answer = { version: (answer?.version ?? 0) + 1, generation, body };
      for (const wake of waiting) wake();
      return true;
    },
    /** Resolves when the answer is another than `version`, or on abort. */
    async untilOther(version: number, signal: AbortSignal): Promise<void> {
      if (signal.aborted || answer?.version !== version) return;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    },
  };
}

/** Ends something that goes silent. */
export interface StallGuard {
  /** Aborted once nothing was seen for the time given, or when the outer signal is. */
  readonly signal: AbortSignal;
  /** Whether the silence was what ended it. */
  stalled(): boolean;
  /** Something was seen: the time starts again. */
  seen(): void;
  stop(): void;
}

/** Guards a long stream, whose whole length cannot be bounded, by its silence. */
export function createStallGuard(silenceMs: number, outer?: AbortSignal): StallGuard {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error(`nothing was received for ${silenceMs} ms`)), silenceMs);
  return {
    signal: outer ? AbortSignal.any([silence.signal, outer]) : silence.signal,
    stalled: () => silence.signal.aborted,
    seen: () => {
      timer.refresh();
    },
    stop: () => clearTimeout(timer),
  };
}

import type { ChangeFeed, ChangeFilter } from '../adapters/postgres/changes.ts';
import { createWakeUp } from './wake-up.ts';

/** Something recorded that goes on until it has come to its end. */
export interface WatchedRecord<Value> {
  readonly changes: Pick<ChangeFeed, 'subscribe'>;
  /** Changes after which it is read again. */
  readonly filter: ChangeFilter;
  /** Silence after which a sign of life is sent, milliseconds. */
  readonly heartbeatMs: number;
  /** Aborted when nobody listens any more. */
  readonly signal: AbortSignal;
  read(): Promise<Value>;
  isFinal(value: Value): boolean;
}

/**
 * Answers with a record now and after each change, until it is final; `undefined` is a sign of life.
 *
 * The feed only wakes; what is sent is read, so nothing is lost while the feed reconnects.
 */
export async function* watchRecord<Value>(of: WatchedRecord<Value>): AsyncGenerator<Value | undefined> {
  const { changes, filter, heartbeatMs, signal, read, isFinal } = of;
  const changed = createWakeUp();
  const unsubscribe = changes.subscribe(filter, () => changed.wake());
  // A generator that waits for a client that is gone is never resumed: the signal is what surely comes.
  signal.addEventListener('abort', unsubscribe, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const value = await read();
      yield value;
      if (isFinal(value)) return;
      while (!(await changed.wait(heartbeatMs, signal)) && !signal.aborted) yield undefined;
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', unsubscribe);
  }
}

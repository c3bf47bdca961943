import { resumingStream } from './resuming-stream.ts';

/** Something that goes on at the platform, and how it is followed. */
export interface FollowedRecord<Message, Value> {
  /** As it stood when it was asked for. */
  readonly begun: Value;
  readonly signal: AbortSignal;
  /** Opens the stream of how it stands. */
  open(signal: AbortSignal): AsyncIterable<Message>;
  /** Reads a message; `undefined` for a sign of life. */
  pick(message: Message): Value | undefined;
  onChange(value: Value): void;
  onInterruption(): void;
}

/** Follows something to its end, through restarts of the API, and answers with how it then stands. */
export async function followRecord<Message, Value>(of: FollowedRecord<Message, Value>): Promise<Value> {
  const { signal, open, pick, onChange, onInterruption } = of;
  let value = of.begun;
  const messages = resumingStream<Message, undefined>({
    open: (_, streamSignal) => open(streamSignal),
    advance: () => undefined,
    start: undefined,
    ...{ signal, onInterruption },
  });
  for await (const message of messages) {
    value = pick(message) ?? value;
    onChange(value);
  }
  return value;
}

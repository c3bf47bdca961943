import { DomainError } from '../../domain/errors.ts';

/** Longest time that Node's timers take. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What keeps a stream allowed. */
export interface StreamGuardOptions {
  /** When the caller's token expires. */
  readonly expiresAt: Date;
  /** Ends the guard with the call. */
  readonly signal: AbortSignal;
  /** Whether the caller is still allowed what the stream shows; may fail when the database is away. */
  readonly isStillAllowed: () => Promise<boolean>;
  /** Time between two such questions, milliseconds. */
  readonly recheckMs: number;
  /** How long a stream goes on without an answer, milliseconds. */
  readonly unansweredMs: number;
  readonly now: () => Date;
}

/** Watches over a stream that was allowed when it began. */
export interface StreamGuard {
  /** The same messages, until the guard ends them with its error. */
  guard<Message>(messages: AsyncIterable<Message>): AsyncIterable<Message>;
}

/**
 * Creates the guard of one stream: it ends with UNAUTHENTICATED once the token has expired or the membership is gone,
 * and with DATABASE_UNAVAILABLE when nobody can tell for too long.
 *
 * The handler notices by its signal, which Connect aborts when a stream fails.
 */
export function createStreamGuard(options: StreamGuardOptions): StreamGuard {
  const { expiresAt, signal, recheckMs, now } = options;
  const ending = createEnding();
  const check = createRecheck(options, end);
  const leftMs = expiresAt.getTime() - now().getTime();
  const expiry = setTimeout(() => end(expired()), Math.min(Math.max(leftMs, 0), MAX_TIMER_MS)).unref();
  const recheck = setInterval(check, recheckMs).unref();
  if (signal.aborted) release();
  else signal.addEventListener('abort', release, { once: true });

  function release(): void {
    clearTimeout(expiry);
    clearInterval(recheck);
  }

  function end(error: DomainError): void {
    release();
    ending.end(error);
  }

  return { guard: (messages) => guarded(messages, ending) };
}

/** The end of a stream, which several may wait for. */
interface Ending {
  end(error: DomainError): void;
  /** Settles as `step` does, or fails when the stream is ended first. A race would pile up reactions for hours. */
  orEnd<Value>(step: Promise<Value>): Promise<Value>;
}

function createEnding(): Ending {
  const waiting = new Set<(error: DomainError) => void>();
  let ended: DomainError | undefined;
  return {
    end: (error) => {
      ended ??= error;
      for (const reject of waiting) reject(ended);
    },
    orEnd: (step) =>
      new Promise((resolve, reject) => {
        if (ended) reject(ended);
        waiting.add(reject);
        step.then(resolve, reject).finally(() => waiting.delete(reject));
      }),
  };
}

/** Creates the question that is asked again and again, one at a time. */
function createRecheck(options: StreamGuardOptions, end: (error: DomainError) => void): () => Promise<void> {
  const { isStillAllowed, unansweredMs, now } = options;
  let answeredAt = now().getTime();
  let isAsking = false;

  function endIfUnanswered(): void {
    if (now().getTime() - answeredAt >= unansweredMs) end(unanswered());
  }

  return async () => {
    if (isAsking) return endIfUnanswered();
    isAsking = true;
    try {
      if (!(await isStillAllowed())) end(takenBack());
      answeredAt = now().getTime();
    } catch {
      // The database is away for a moment; only if it stays away may the stream not go on.
      endIfUnanswered();
    } finally {
      isAsking = false;
    }
  };
}

async function* guarded<Message>(messages: AsyncIterable<Message>, ending: Ending): AsyncIterable<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  let isFinished = false;
  try {
    for (;;) {
      const step = await ending.orEnd(iterator.next());
      isFinished = step.done === true;
      if (step.done) return;
      yield step.value;
    }
  } finally {
    // Ends on its own: it may wait for something that only the call's signal wakes.
    if (!isFinished) iterator.return?.().catch(() => undefined);
  }
}

function expired(): DomainError {
  return new DomainError('UNAUTHENTICATED', 'the stream ended: its token has expired', {
    hint: 'Open it again with a fresh token.',
  });
}

function takenBack(): DomainError {
  return new DomainError('UNAUTHENTICATED', 'the stream ended: the access was taken back', {
    hint: 'Ask an owner of the organization for access.',
  });
}

function unanswered(): DomainError {
  return new DomainError('DATABASE_UNAVAILABLE', 'the stream ended: the access cannot be checked at the moment', {
    hint: 'Open it again in a few seconds.',
  });
}

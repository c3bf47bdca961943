import { setTimeout as delay } from 'node:timers/promises';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';

/** First pause and ceiling of the exponential backoff; with the attempts below a call waits 6 s at most. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
const UNARY_ATTEMPTS = 6;

/** The pause before attempt `attempt` (from 1): doubling, with up to half of it at random so that clients spread. */
export function backoffMs(attempt: number, random: number = Math.random()): number {
  const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
  return full / 2 + (full / 2) * random;
}

/**
 * Whether the call or stream broke on its way, so that trying again is worthwhile.
 *
 * A connection that is cut looks like a cancellation; callers look at their own signal first to tell the two apart.
 */
export function isInterruption(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  if (error.code === Code.Unavailable) return true;
  if (error.isWireError || error.code === Code.DeadlineExceeded) return false;
  return (
    error.cause !== undefined || error.code === Code.Canceled || error.rawMessage.endsWith('missing EndStreamResponse')
  );
}

/** Waits, unless the signal ends it. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal });
}

/**
 * Repeats calls that could not be delivered.
 *
 * Only those that the contract calls free of side effects or idempotent: the latter carry their idempotency key, which
 * is the same in every attempt, so that an attempt whose answer was lost is found and not done twice.
 */
export const retryInterceptor: Interceptor = (next) => async (request) => {
  const isRepeatable = request.method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
  if (request.stream || !isRepeatable) return await next(request);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await next(request);
    } catch (error) {
      if (attempt === UNARY_ATTEMPTS || !isInterruption(error) || request.signal.aborted) throw error;
      await pause(backoffMs(attempt), request.signal);
    }
  }
};

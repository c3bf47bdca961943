import { Context } from '@temporalio/activity';

/** A heartbeat has to come at least every 3 s; the SDK passes on one every 2 s at most. */
const EVERY_MS = 1_500;

/** Heartbeats of one attempt. */
export interface Heartbeats {
  /** Changes what the next heartbeats tell: where the attempt stands, for people who look at it. */
  report(details: Readonly<Record<string, string>>): void;
}

/**
 * Heartbeats for as long as `work` takes, so that a cancel arrives within seconds and a dead process is noticed.
 *
 * The timer beats even while a call to Docker hangs: such calls end by their own deadline.
 */
export async function withHeartbeats<Answer>(
  first: Readonly<Record<string, string>>,
  work: (heartbeats: Heartbeats) => Promise<Answer>,
): Promise<Answer> {
  const context = Context.current();
  let details = first;
  const beat = (): void => context.heartbeat(details);
  beat();
  const timer = setInterval(beat, EVERY_MS);
  try {
    return await work({
      report: (next) => {
        details = next;
      },
    });
  } finally {
    clearInterval(timer);
  }
}

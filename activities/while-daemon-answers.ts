import { DomainError } from '../domain/errors.ts';
import type { DaemonWatch } from './node-ports.ts';

/** A daemon that restarts is back sooner, and what was begun there goes on. */
const TROUBLE_MS = 5_000;

/** Work that may be left behind. */
export interface Leavable<Answer> {
  /** Does the work; the signal says that nobody waits for it any more. */
  work(left: AbortSignal): Promise<Answer>;
  /** Takes back what the work did, once it has come to its end unasked for. Must not throw. */
  undo(): Promise<void>;
}

/**
 * Does work until the daemon has been in trouble for some seconds without a break; then it is left behind, and undone as
 * soon as the daemon has carried out what it was asked for.
 *
 * @throws NODE_DEGRADED when it was left behind.
 */
export async function whileDaemonAnswers<Answer>(
  daemon: Pick<DaemonWatch, 'current' | 'onChange'>,
  { work, undo }: Leavable<Answer>,
): Promise<Answer> {
  const left = new AbortController();
  const running = work(left.signal);
  const trouble = watchForTrouble(daemon);
  try {
    const reason = await Promise.race([running.then(() => undefined), trouble.lasts]);
    if (reason === undefined) return await running;
    const error = new DomainError('NODE_DEGRADED', `left behind: ${reason}`);
    left.abort(error);
    void running.then(undo, undo);
    throw error;
  } finally {
    trouble.stop();
  }
}

function watchForTrouble(daemon: Pick<DaemonWatch, 'current' | 'onChange'>) {
  const { promise: lasts, resolve } = Promise.withResolvers<string>();
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    if (daemon.current().state === 'ready') {
      clearTimeout(timer);
      timer = undefined;
    } else {
      // Another trouble in place of the first, or beside it, is no break.
      timer ??= setTimeout(() => resolve(daemon.current().reason), TROUBLE_MS);
    }
  };
  const unsubscribe = daemon.onChange(look);
  look();
  return {
    /** Resolves with the reason. */
    lasts,
    stop: (): void => {
      clearTimeout(timer);
      unsubscribe();
    },
  };
}

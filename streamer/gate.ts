import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, isDomainError } from '../domain/errors.ts';
import {
  admit,
  afterFailure,
  afterSuccess,
  type Breaker,
  type BreakerRules,
  CLOSED,
} from '../domain/metrics/circuit-breaker.ts';
import { type RetryRules, retryPauseMs } from '../domain/metrics/retry-pause.ts';
import type { Clock } from './ports.ts';

/** Lets calls to Docker pass, until they fail one after the other. */
export interface DockerGate {
  /**
   * Makes the call, and again after a pause while the daemon does not answer it; or refuses it at once while the breaker
   * is open.
   *
   * @param signal ends the pauses as well as, by itself, the call.
   * @throws DOCKER_UNAVAILABLE when refused; else what the last try threw.
   */
  pass<Answer>(call: () => Promise<Answer>, signal?: AbortSignal): Promise<Answer>;
  /** The breaker as it stands. */
  current(): Breaker;
}

/** How a gate treats its daemon. */
export interface DockerGateOptions {
  readonly breaker: BreakerRules;
  /** Retries of one call; there are none unless the breaker is closed. */
  readonly retry: RetryRules;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** 0 to 1: spreads the retries. */
  readonly random: () => number;
}

/**
 * Creates a gate around one daemon: one circuit breaker, whose rules are in the domain.
 *
 * A refusal (not found, conflict, a request that is wrong) is an answer, so it counts as one: a tenant who removes his
 * containers cannot open the breaker. Answers to calls that were let through before the breaker changed say nothing about
 * the daemon now, and count for nothing.
 */
export function createDockerGate({ breaker: rules, retry, clock, random }: DockerGateOptions): DockerGate {
  let breaker: Breaker = CLOSED;
  /** Rises whenever older calls stop to count: when the state changes, and with each try while it is half open. */
  let turn = 0;

  const become = (next: Breaker): void => {
    if (next.kind !== breaker.kind) turn += 1;
    breaker = next;
  };
  const enter = (): number => {
    const asked = admit(breaker, clock.monotonic(), rules);
    become(asked.breaker);
    if (!asked.admitted) {
      throw new DomainError(
        'DOCKER_UNAVAILABLE',
        `docker failed ${breaker.failures} times in a row and is left alone`,
        { hint: 'Check that the Docker daemon of this node answers.' },
      );
    }
    if (breaker.kind === 'half-open') turn += 1;
    return turn;
  };
  const leave = (mine: number, next: () => Breaker): void => {
    if (mine === turn) become(next());
  };

  const pass = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    const mine = enter();
    try {
      const answer = await call();
      leave(mine, () => afterSuccess(breaker, rules));
      return answer;
    } catch (error) {
      leave(mine, () =>
        isRefusal(error) ? afterSuccess(breaker, rules) : afterFailure(breaker, clock.monotonic(), rules),
      );
      throw error;
    }
  };

  return {
    pass: async (call, signal) => {
      for (let retries = 0; ; retries += 1) {
        try {
          return await pass(call);
        } catch (error) {
          const isOver = retries >= retry.maxRetries || breaker.kind !== 'closed' || signal?.aborted;
          if (isOver || isRefusal(error)) throw error;
          const pauseMs = retryPauseMs(retries, random(), retry);
          await delay(pauseMs, undefined, { signal }).catch(() => {
            throw error;
          });
        }
      }
    },
    current: () => breaker,
  };
}

/** More than a half-open breaker takes to close: the rest is for answers that count for nothing. */
const MOST_TRIES = 10;

/**
 * Makes a probe of a daemon that closes the breaker in front of it, once the daemon answers and the cooldown has passed.
 *
 * Without it only calls that are needed could, and there may be none: the node has become idle, the kernel's files can be
 * read again, or what was asked for is held open and comes by itself.
 *
 * @throws what the daemon answered to the bare question. What the gate refuses says nothing of the daemon.
 */
export function createClosingProbe(gate: DockerGate, ask: () => Promise<unknown>): () => Promise<void> {
  return async () => {
    await ask();
    try {
      for (let tries = 0; tries < MOST_TRIES && gate.current().kind !== 'closed'; tries += 1) await gate.pass(ask);
    } catch {
      // Refused for now; the next probe tries again.
    }
  };
}

/** Whether the daemon answered, only not with what was asked for. */
function isRefusal(error: unknown): boolean {
  return isDomainError(error) && error.code !== 'DOCKER_UNAVAILABLE';
}

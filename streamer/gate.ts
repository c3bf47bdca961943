import { DomainError } from '../domain/errors.ts';
import {
  admit,
  afterFailure,
  afterSuccess,
  type Breaker,
  type BreakerRules,
  CLOSED,
} from '../domain/metrics/circuit-breaker.ts';
import type { Clock } from './ports.ts';

/** Lets calls to Docker pass, until they fail one after the other. */
export interface DockerGate {
  /** Makes the call, or refuses it at once while the breaker is open. @throws DOCKER_UNAVAILABLE when refused. */
  pass<Answer>(call: () => Promise<Answer>): Promise<Answer>;
  /** The breaker as it stands. */
  current(): Breaker;
}

/** Creates a gate around one daemon: one circuit breaker, whose rules are in the domain. */
export function createDockerGate(rules: BreakerRules, clock: Pick<Clock, 'monotonic'>): DockerGate {
  let breaker: Breaker = CLOSED;
  return {
    pass: async (call) => {
      const asked = admit(breaker, clock.monotonic(), rules);
      breaker = asked.breaker;
      if (!asked.admitted) {
        throw new DomainError(
          'DOCKER_UNAVAILABLE',
          `docker failed ${breaker.failures} times in a row and is left alone`,
        );
      }
      try {
        const answer = await call();
        breaker = afterSuccess(breaker, rules);
        return answer;
      } catch (error) {
        breaker = afterFailure(breaker, clock.monotonic(), rules);
        throw error;
      }
    },
    current: () => breaker,
  };
}

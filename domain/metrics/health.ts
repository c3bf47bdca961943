/** What is known of a streamer when its health is checked. */
export interface HealthFacts {
  readonly isDockerAnswering: boolean;
  /** Whether the newest round read at least one container, or there was none to read. */
  readonly isReading: boolean;
  /** Time since a round ended, milliseconds; left out before the first. */
  readonly sinceRoundMs?: number | undefined;
  /** Time between two rounds, milliseconds. */
  readonly intervalMs?: number | undefined;
  /** How late the event loop is, milliseconds. */
  readonly lagMs?: number | undefined;
  readonly isBreakerOpen?: boolean | undefined;
  /** Age of the oldest row that waits for a database, seconds. */
  readonly spoolAgeSeconds?: number | null | undefined;
  readonly slowSubscribers?: number | undefined;
}

/** What is wrong: `problems` make a check fail, `notices` are what somebody may want to know. */
export interface HealthJudgement {
  readonly problems: readonly string[];
  readonly notices: readonly string[];
}

/** Rounds that may be missing until something must be stuck, and the least time for it: under load rounds come seldom. */
const MISSING_ROUNDS = 5;
const LEAST_SILENCE_MS = 60_000;

/** A loop that is later reads its counters late. */
const LATE_MS = 1_000;

/** Rows older than this wait for a database that is away, not for the next batch. */
const OLD_SPOOL_SECONDS = 300;

/**
 * Judges a streamer. What is stored late is not lost, and who listens slowly harms nobody else: neither makes it
 * unhealthy. That nothing is read does, and an idle node reads nothing because there is nothing.
 */
export function judgeHealth(facts: HealthFacts): HealthJudgement {
  const { sinceRoundMs = 0, intervalMs = 0, lagMs = 0, spoolAgeSeconds, slowSubscribers = 0 } = facts;
  const isStuck = sinceRoundMs > Math.max(MISSING_ROUNDS * intervalMs, LEAST_SILENCE_MS);
  return {
    problems: [
      ...(facts.isDockerAnswering ? [] : ['docker does not answer']),
      ...(facts.isReading ? [] : ['no container could be read']),
      ...(isStuck ? [`no round has ended for ${Math.round(sinceRoundMs / 1_000)} s`] : []),
    ],
    notices: [
      ...(facts.isBreakerOpen ? ['calls to docker failed, so it is left alone for a while'] : []),
      ...(lagMs > LATE_MS ? [`the process is late by ${Math.round(lagMs)} ms`] : []),
      ...((spoolAgeSeconds ?? 0) > OLD_SPOOL_SECONDS ? [`rows have waited ${Math.round(spoolAgeSeconds ?? 0)} s`] : []),
      ...(slowSubscribers > 0 ? [`${slowSubscribers} listeners are slow`] : []),
    ],
  };
}

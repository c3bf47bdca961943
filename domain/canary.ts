import { DomainError } from './errors.ts';
import type { RolloutGate } from './rollout-policy.ts';

/** How requests for a revision were answered, counted since some moment. */
export interface RequestCounts {
  readonly total: number;
  /** Answered with 500 or above. */
  readonly errors: number;
}

/** What a look at a canary found. */
export interface CanaryLook {
  readonly gate: Extract<RolloutGate, { kind: 'errors' }>;
  readonly revision: number;
  readonly before: RequestCounts;
  readonly now: RequestCounts;
  /** Whether its time is over. */
  readonly isOver: boolean;
}

/**
 * Judges a canary by how its requests were answered. One that has failed too often is refused as soon as enough were
 * asked, so that nobody has to wait for its end; one that too few have asked only at its end.
 *
 * @throws CANARY_REFUSED
 */
export function judgeCanary({ gate, revision, before, now, isOver }: CanaryLook): void {
  // An ingress that restarted counts from zero again.
  const total = now.total >= before.total ? now.total - before.total : now.total;
  const errors = now.errors >= before.errors ? now.errors - before.errors : now.errors;
  const isEnough = total >= gate.minRequests;
  if (isEnough && errors * 100 > gate.maxErrorPercent * total) {
    const found = `${errors} of ${total} requests were answered with 5xx`;
    throw refused(`${found}; allowed are ${gate.maxErrorPercent} %`, revision);
  }
  if (isOver && !isEnough) throw refused(`only ${total} of ${gate.minRequests} requests came in time`, revision);
}

function refused(finding: string, revision: number): DomainError {
  return new DomainError('CANARY_REFUSED', `revision ${revision} was taken back: ${finding}`, {
    hint: 'Look at its logs, mend the application and deploy again.',
  });
}

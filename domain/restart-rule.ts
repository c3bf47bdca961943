import type { RestartPolicy } from './spec.ts';

/** Bounds of the back-off. Times in milliseconds; tests give shorter ones. */
export interface RestartRules {
  /** Pause before the first restart of a streak. */
  readonly firstDelayMs: number;
  /** Longest pause ever. */
  readonly longestDelayMs: number;
  /** A run of this length ends a streak: what comes after it is a first exit again. */
  readonly stableMs: number;
  /** Restarts in a row that are the daemon's; from then on the node holds it back and restarts by itself. */
  readonly leftToDaemon: number;
}

/**
 * The rules of a node. Cap and reset are those of Kubernetes (doubling, at most 5 min, forgotten after 10 min of
 * running), which people know; the first pause is shorter, since one crash should cost a small service no 10 s. Docker
 * alone forgets after 10 s and never waits longer than a minute, so what crashes every 15 s starts for ever at once.
 */
export const RESTART_RULES: RestartRules = {
  firstDelayMs: 500,
  longestDelayMs: 5 * 60_000,
  stableMs: 10 * 60_000,
  leftToDaemon: 3,
};

/** Share of a pause that replicas are scattered over, so that those which fail together do not come back together. */
const SCATTER = 0.2;

/** One exit of a replica, with what came before it. */
export interface ReplicaExit {
  readonly policy: RestartPolicy;
  /** `null` when nobody knows it, which counts as a failure. */
  readonly exitCode: number | null;
  /** Restarts in a row before this exit; 0 after a run of {@link RestartRules.stableMs}. */
  readonly streak: number;
  /** Time since the exit, or since a restart was last tried in vain, milliseconds. */
  readonly waitedMs: number;
  /** Where in the scatter the replica stands, from 0 to 1: see {@link scatterOf}. */
  readonly scatter: number;
}

/** What follows from an exit. */
export type RestartVerdict =
  | { readonly kind: 'now' }
  | { readonly kind: 'after'; readonly delayMs: number }
  | { readonly kind: 'never' };

/**
 * Decides when a replica that has exited is restarted. Reads no clock and no random source.
 *
 * The pause doubles with every restart in a row and never exceeds the longest. A clock that was set back makes nobody
 * wait longer than the pause.
 */
export function nextRestart(exit: ReplicaExit, rules: RestartRules): RestartVerdict {
  if (!isRestarted(exit)) return { kind: 'never' };
  const delayMs = restartDelayMs(exit, rules) - Math.max(0, exit.waitedMs);
  return delayMs > 0 ? { kind: 'after', delayMs } : { kind: 'now' };
}

/** The whole pause between an exit and its restart, milliseconds. */
export function restartDelayMs(
  { streak, scatter }: Pick<ReplicaExit, 'streak' | 'scatter'>,
  { firstDelayMs, longestDelayMs }: RestartRules,
): number {
  const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** streak);
  return Math.round(delayMs * (1 - SCATTER * scatter));
}

function isRestarted({ policy, exitCode }: ReplicaExit): boolean {
  if (policy === 'never') return false;
  return policy === 'always' || exitCode !== 0;
}

/** Where a replica stands in the scatter: the same each time, and unlike its neighbours (FNV-1a of the text). */
export function scatterOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash / 2 ** 32;
}

/**
 * Says whether one of the exits, restarts or recoveries in a row from the one after `from` up to `to` is worth an event
 * of its own: the first, second, fourth, … So a crash loop of a thousand exits tells ten of them.
 */
export function passesMilestone(from: number, to: number): boolean {
  return to > from && to >= 1 && 2 ** Math.floor(Math.log2(to)) > from;
}

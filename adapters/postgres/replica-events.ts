import type { Selectable } from 'kysely';
import { passesMilestone } from '../../domain/restart-rule.ts';
import type { NewEvent } from './events.ts';
import type { ObservedReplica } from './replica-reports.ts';
import type { Schema } from './schema.ts';

type ReplicaRow = Selectable<Schema['replicas']>;

/**
 * Says what a report tells of a replica, in the order in which it happened.
 *
 * Before a replica serves, its health is the rollout's to tell; only an exit is news. Of a crash loop the first,
 * second, fourth, eighth, … exit, restart and recovery is told, those between are not, and at last that it is over:
 * however long it goes on, it does not fill the history.
 */
export function eventsOf(row: ReplicaRow, seen: ObservedReplica): NewEvent[] {
  const served = row.serving ? [...restartEvent(row, seen), ...healthEvent(row, seen)] : [];
  return [...served, ...exitEvent(row, seen)].map((event) => ({ ...event, replicaId: row.replica_id }));
}

function restartEvent(row: ReplicaRow, { restarts, restartStreak: streak, exitCode }: ObservedReplica): NewEvent[] {
  if (restarts <= row.restarts || !passesInStreak(row.restart_streak, streak)) return [];
  const after = exitCode === null ? '' : ` after exit code ${exitCode}`;
  const times = streak === 1 ? '' : `, ${streak} times in a row`;
  return [{ kind: 'replica.restarted', message: `${row.replica_id} was restarted${after}${times}` }];
}

/** An exit is counted and not only seen, since the one that is a milestone may fall between two reports. */
function exitEvent(row: ReplicaRow, seen: ObservedReplica): NewEvent[] {
  const exits = row.restart_streak + (row.state === 'exited' ? 1 : 0);
  if (seen.state !== 'exited' || !passesInStreak(exits, seen.restartStreak + 1)) return [];
  return [{ kind: 'replica.exited', message: exitMessage(row.replica_id, seen) }];
}

function healthEvent(row: ReplicaRow, { state, restartStreak: streak, healthReason }: ObservedReplica): NewEvent[] {
  const id = row.replica_id;
  const isSteady = state === 'healthy' && streak === 0 && row.restart_streak > 0;
  if (isSteady) return [{ kind: 'replica.healthy', message: `${id} runs steadily again` }];
  if (state === row.state || (streak > 0 && !passesMilestone(streak - 1, streak))) return [];
  if (state === 'healthy') return [{ kind: 'replica.healthy', message: `${id} is healthy again` }];
  if (state !== 'unhealthy') return [];
  const reason = healthReason === '' ? '' : `: ${healthReason}`;
  return [{ kind: 'replica.unhealthy', message: `${id} is unhealthy${reason}` }];
}

/** What is counted begins anew when a streak is over. */
function passesInStreak(before: number, now: number): boolean {
  return passesMilestone(now > before ? before : 0, now);
}

function exitMessage(id: string, { exitCode, outOfMemory, restartStreak: streak }: ObservedReplica): string {
  const code = `exit code ${exitCode ?? 'unknown'}`;
  const cause = outOfMemory ? `it used more memory than its limit (${code})` : code;
  const times = streak === 0 ? '' : `, after ${streak} ${streak === 1 ? 'restart' : 'restarts'} in a row`;
  return `${id} exited: ${cause}${times}`;
}

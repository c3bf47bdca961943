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
 * second, fourth, eighth, … round is told with its exit, restart and recovery, and those between are not: however long
 * it goes on, it does not fill the history.
 */
export function eventsOf(row: ReplicaRow, seen: ObservedReplica): NewEvent[] {
  const restarted = row.serving ? restartEvent(row, seen) : [];
  const changed = seen.state === row.state ? [] : stateEvent(row, seen);
  const replicaId = row.replica_id;
  return [...restarted, ...changed].map((event) => ({ ...event, replicaId }));
}

function restartEvent(row: ReplicaRow, { restarts, restartStreak: streak, exitCode }: ObservedReplica): NewEvent[] {
  const before = streak > row.restart_streak ? row.restart_streak : 0;
  if (restarts <= row.restarts || !passesMilestone(before, streak)) return [];
  const after = exitCode === null ? '' : ` after exit code ${exitCode}`;
  const times = streak === 1 ? '' : `, ${streak} times in a row`;
  return [{ kind: 'replica.restarted', message: `${row.replica_id} was restarted${after}${times}` }];
}

function stateEvent({ replica_id: id, serving }: ReplicaRow, seen: ObservedReplica): NewEvent[] {
  const { state, restartStreak: streak } = seen;
  if (state === 'exited') {
    return passesMilestone(streak, streak + 1) ? [{ kind: 'replica.exited', message: exitMessage(id, seen) }] : [];
  }
  if (!serving || (streak > 0 && !passesMilestone(streak - 1, streak))) return [];
  if (state === 'healthy') return [{ kind: 'replica.healthy', message: `${id} is healthy again` }];
  return state === 'unhealthy' ? [{ kind: 'replica.unhealthy', message: `${id} is unhealthy` }] : [];
}

function exitMessage(id: string, { exitCode, outOfMemory, restartStreak: streak }: ObservedReplica): string {
  const code = `exit code ${exitCode ?? 'unknown'}`;
  const cause = outOfMemory ? `it used more memory than its limit (${code})` : code;
  const times = streak === 0 ? '' : `, after ${streak} ${streak === 1 ? 'restart' : 'restarts'} in a row`;
  return `${id} exited: ${cause}${times}`;
}

import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Number of the field "start time" in /proc/<pid>/stat after the command's closing parenthesis (proc(5): 22). */
const START_TIME_FIELD = 19;

/** How often a process that is not our child is looked at: nothing announces its end. */
const LOOK_EVERY_MS = 50;

/**
 * What tells a process from a later one with the same pid: boot id and start time in clock ticks.
 *
 * `undefined` when there is none, or only its exit status is left.
 */
export function identifyProcess(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isGone = fields[0] === 'Z' || fields[0] === 'X';
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return isGone ? undefined : `${bootId}:${fields[START_TIME_FIELD]}`;
  } catch {
    // No such process, or it ended between two reads.
    return undefined;
  }
}

/** Resolves with true once this very process is gone, with false after `timeoutMs`. */
export async function untilGone(pid: number, identity: string, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (identifyProcess(pid) === identity) {
    if (performance.now() >= deadline) return false;
    await delay(LOOK_EVERY_MS);
  }
  return true;
}

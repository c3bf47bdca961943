import type { ObservedContainer } from './container.ts';
import type { RestartRules } from './restart-rule.ts';

/** What a node remembers of the restarts of one container; everything else is readable from Docker. */
export interface RestartRecord {
  /** Restarts in all, by whomever. */
  readonly restarts: number;
  /** Restarts, and tries that failed, since it last ran for long. */
  readonly streak: number;
  /** Docker's time of the start that was seen last; `null` before the first. */
  readonly startedAt: string | null;
  /** Docker's own count at that start: it begins anew whenever something else than its policy starts the container. */
  readonly daemonRestarts: number;
  /** Of the last exit; `null` while none is known. */
  readonly exitCode: number | null;
  /** Whether the kernel killed a process of it for its memory, up to its last exit or since. */
  readonly outOfMemory: boolean;
  /** Whether that was told during the present run. */
  readonly outOfMemoryNow: boolean;
  /** When a restart by this node failed, milliseconds; `null` once one succeeded. */
  readonly failedTryAtMs: number | null;
}

/** What outlives a node process, by container id. */
export interface RestartMemory {
  readonly records: ReadonlyMap<string, RestartRecord>;
  /** Containers that were stopped on purpose: nobody restarts them. */
  readonly retired: ReadonlySet<string>;
}

/**
 * Takes one look at a container into its record. Looking twice changes nothing, and neither does a look that is older
 * than the record.
 *
 * Starts are told apart by Docker's start time, since its own count knows only restarts by its policy. A run that has
 * been long enough ends the streak.
 *
 * @param record `undefined` for a container that was not known.
 */
export function observeRestarts(
  record: RestartRecord | undefined,
  container: ObservedContainer,
  nowMs: number,
  rules: Pick<RestartRules, 'stableMs'>,
): RestartRecord {
  const known = record ?? firstRecord(container);
  if (isOlder(container.startedAt, known.startedAt)) return known;
  const counted = countStarts(known, container);
  const seen = hasExited(container) ? takeExit(counted, container) : counted;
  const isOver = seen.streak > 0 && seen.failedTryAtMs === null && ranForMs(container, nowMs) >= rules.stableMs;
  return isOver ? { ...seen, streak: 0 } : seen;
}

/** Takes an exit that Docker told; the container may run again before anybody has looked. */
export function noteExit(record: RestartRecord, exitCode: number): RestartRecord {
  return { ...record, exitCode, outOfMemory: record.outOfMemoryNow };
}

/** Takes it that the kernel killed a process of the container for its memory. */
export function noteOutOfMemory(record: RestartRecord): RestartRecord {
  return { ...record, outOfMemory: true, outOfMemoryNow: true };
}

/** Takes a restart that could not be carried out: the next pause is longer, and runs from now on. */
export function noteFailedTry(record: RestartRecord, nowMs: number): RestartRecord {
  return { ...record, streak: record.streak + 1, failedTryAtMs: nowMs };
}

/** How long the present run has lasted, or the last one did, milliseconds. */
export function ranForMs(container: ObservedContainer, nowMs: number): number {
  const startedMs = timeOf(container.startedAt);
  if (startedMs === null) return 0;
  const endedMs = hasExited(container) ? (timeOf(container.finishedAt) ?? startedMs) : nowMs;
  return Math.max(0, endedMs - startedMs);
}

/** Whether a container has run and does not run now. One that its daemon is about to restart has exited. */
export function hasExited({ status, startedAt }: ObservedContainer): boolean {
  return startedAt !== null && (status === 'exited' || status === 'restarting' || status === 'dead');
}

/** Docker's times as milliseconds: their texts do not sort, since trailing zeros are left out. */
export function timeOf(at: string | null): number | null {
  return at === null ? null : Date.parse(at);
}

function firstRecord(container: ObservedContainer): RestartRecord {
  const done = doneByDaemon(container);
  return {
    restarts: done,
    streak: done,
    startedAt: container.startedAt,
    daemonRestarts: done,
    exitCode: null,
    outOfMemory: container.outOfMemory,
    outOfMemoryNow: container.outOfMemory,
    failedTryAtMs: null,
  };
}

function countStarts(record: RestartRecord, container: ObservedContainer): RestartRecord {
  const { startedAt } = container;
  if (startedAt === record.startedAt) return record;
  const done = doneByDaemon(container);
  const begun = done > record.daemonRestarts ? done - record.daemonRestarts : done + 1;
  const restarts = record.startedAt === null ? done : begun;
  return {
    ...record,
    restarts: record.restarts + restarts,
    streak: record.streak + restarts,
    startedAt,
    daemonRestarts: done,
    outOfMemoryNow: false,
    failedTryAtMs: null,
  };
}

/**
 * The exit code is what Docker says. Its flag for memory is not enough, since Docker 20.10 never takes it back: it
 * counts when it was raised during this run, as far as is known, or when the exit was by a kill.
 */
function takeExit(record: RestartRecord, { exitCode, outOfMemory }: ObservedContainer): RestartRecord {
  return { ...record, exitCode, outOfMemory: outOfMemory && (record.outOfMemoryNow || exitCode === 137) };
}

/** Docker counts a restart when it plans it; here it counts once it was done. */
function doneByDaemon({ status, restarts }: ObservedContainer): number {
  return status === 'restarting' ? Math.max(0, restarts - 1) : restarts;
}

function isOlder(one: string | null, other: string | null): boolean {
  const [oneMs, otherMs] = [timeOf(one), timeOf(other)];
  return otherMs !== null && (oneMs === null || oneMs < otherMs);
}

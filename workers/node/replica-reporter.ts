import { createWakeUp } from '../../activities/wake-up.ts';
import type { Log } from '../../adapters/logging/log.ts';
import type { ContainerEvent, ObservedContainer } from '../../domain/container.ts';
import {
  type CheckedHealth,
  type ReplicaReport,
  type ReportedReplica,
  type RestartStanding,
  toReportedReplica,
  type UnseenReplica,
} from '../../domain/reported-replica.ts';

/** Everything is looked at again after this, since a stream of events may die without a word. */
const RESYNC_MS = 30_000;

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

/** The control plane takes no more in one report. */
const MOST_REPLICAS = 5_000;

/** What is told of a replica of which nothing is known but that it was here. */
const UNKNOWN: Omit<ReportedReplica, keyof UnseenReplica> = {
  ...{ state: 'exited', healthReason: '', exitCode: null, outOfMemory: false, hostPort: null, startedAt: null },
  ...{ restarts: 0, restartStreak: 0, nextRestartAt: null },
};

/** What the reporter needs from the world. */
export interface ReplicaReporterPorts {
  listContainerIds(): Promise<readonly string[]>;
  findContainer(id: string): Promise<ObservedContainer | undefined>;
  isDaemonHealthy(): Promise<boolean>;
  /** How healthy a container is by the node's checks. */
  observe(container: ObservedContainer): Promise<CheckedHealth>;
  /** How the restarts of a container stand. */
  standing(container: ObservedContainer): RestartStanding;
  /** @returns what is recorded here and was not in a complete report. */
  report(report: ReplicaReport): Promise<readonly UnseenReplica[]>;
  /** Runs a look at Docker when one of the few that may run at a time is free. */
  lookSlot<Answer>(task: () => Promise<Answer>): Promise<Answer>;
  readonly log: Log;
}

/** Tells the control plane what runs here. */
export interface ReplicaReporter {
  /** Says that a container has changed, or everything may have. */
  tell(event: ContainerEvent): void;
  /** Reports until aborted: what changed as soon as it did, and everything at each `connected` and every 30 s. */
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Creates the reporter. What is to be reported is a set of containers that are looked at when their turn comes, so
 * many changes of one cost one report, and nothing piles up while the control plane is away.
 *
 * A container is reported as removed only when Docker says so by an event, or says twice that it does not know the id
 * and is in health: its list alone proves nothing. That holds for containers of an earlier process of this node too,
 * since the control plane asks for what a complete report leaves out.
 */
export function createReplicaReporter(ports: ReplicaReporterPorts): ReplicaReporter {
  const changed = new Set<string>();
  const removed = new Set<string>();
  const known = new Map<string, ReportedReplica>();
  const wakeUp = createWakeUp();
  let everything = false;

  const look = async (id: string): Promise<ReportedReplica | undefined> => {
    const last = known.get(id);
    const container = await ports.findContainer(id);
    if (container) return toReportedReplica(container, await ports.observe(container), ports.standing(container));
    if (!last) return undefined;
    const gone = { ...last, state: 'removed', healthReason: '', nextRestartAt: null } as const;
    if (removed.has(id)) return gone;
    const isGone = (await ports.isDaemonHealthy()) && (await ports.findContainer(id)) === undefined;
    return isGone ? gone : last;
  };

  const expect = (replica: UnseenReplica): void => {
    if (!known.has(replica.containerId)) known.set(replica.containerId, { ...replica, ...UNKNOWN });
    changed.add(replica.containerId);
    wakeUp.ring();
  };

  const flush = async (complete: boolean, ids: readonly string[]): Promise<void> => {
    const looks = await Promise.all(ids.map((id) => ports.lookSlot(() => look(id))));
    const replicas = looks.filter((replica) => replica !== undefined);
    for (const replica of replicas) known.set(replica.containerId, replica);
    if (!complete && replicas.length === 0) return;
    const isWhole = complete && replicas.length <= MOST_REPLICAS;
    for (let start = 0; start === 0 || start < replicas.length; start += MOST_REPLICAS) {
      const unseen = await ports.report({ replicas: replicas.slice(start, start + MOST_REPLICAS), complete: isWhole });
      for (const replica of unseen) expect(replica);
    }
    for (const { containerId, state } of replicas) if (state === 'removed') known.delete(containerId);
  };

  const reportOnce = async (): Promise<void> => {
    const complete = everything;
    const batch = new Set(changed);
    everything = false;
    changed.clear();
    try {
      const ids = complete ? [...(await ports.listContainerIds()), ...known.keys()] : [];
      await flush(complete, [...new Set([...ids, ...batch])]);
      for (const id of batch) removed.delete(id);
    } catch (error) {
      everything ||= complete;
      for (const id of batch) changed.add(id);
      throw error;
    }
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    const pause = createWakeUp();
    for (let retryMs = FIRST_RETRY_MS; !signal.aborted; ) {
      try {
        if (everything || changed.size > 0) await reportOnce();
        retryMs = FIRST_RETRY_MS;
        const wokenAt = performance.now();
        await wakeUp.wait(RESYNC_MS, signal);
        everything ||= performance.now() - wokenAt >= RESYNC_MS;
      } catch (error) {
        if (signal.aborted) return;
        ports.log.warn({ err: error }, 'replicas are not reported yet');
        await pause.wait(retryMs, signal).catch(() => undefined);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
      }
    }
  };

  return {
    tell: (event) => {
      if (event.kind === 'connected') everything = true;
      else changed.add(event.containerId);
      if (event.kind === 'removed') removed.add(event.containerId);
      wakeUp.ring();
    },
    run,
  };
}

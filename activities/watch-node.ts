import { Context } from '@temporalio/activity';
import type { DiskNotice, WatchNodeInput } from '../contracts/node.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import { describeDisk, nextDiskLevel } from '../domain/disk-guard.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { DaemonWatch, DiskWatch } from './node-ports.ts';
import { createWakeUp } from './wake-up.ts';

/**
 * Creates the activity that watches this node's Docker daemon and its disk: its heartbeats are the node's sign of life,
 * its result is a change of either.
 *
 * Safe to run twice: it changes nothing. When this process is about to end it returns what it knows, so that a
 * restart within the pick-up time is no loss of the node. The level of the disk follows from the known one, which
 * outlives this process, so that a restart does not make it flap.
 */
export function createWatchNode(daemon: DaemonWatch, disk: DiskWatch): Pick<NodeActivities, 'watchNode'> {
  return {
    watchNode: ({ known, maxMs, knownDisk }) =>
      withHeartbeats({ step: 'watch' }, async () => {
        const context = Context.current();
        const wakeUp = createWakeUp();
        const unsubscribe = [daemon.onChange(wakeUp.ring), disk.onChange(wakeUp.ring)];
        const endsAt = performance.now() + maxMs;
        const isUnchanged = (): boolean =>
          daemon.current().state === known &&
          !daemon.isClosing() &&
          (noticeOf(disk, knownDisk)?.level ?? knownDisk) === knownDisk;
        try {
          while (isUnchanged() && performance.now() < endsAt) {
            await wakeUp.wait(endsAt - performance.now(), context.cancellationSignal);
          }
        } finally {
          for (const end of unsubscribe) end();
        }
        const notice = noticeOf(disk, knownDisk);
        return { ...daemon.current(), ...(notice ? { disk: notice } : {}) };
      }),
  };
}

function noticeOf(disk: DiskWatch, known: WatchNodeInput['knownDisk']): DiskNotice | undefined {
  const freePercent = disk.freePercent();
  if (known === undefined || freePercent === undefined) return undefined;
  const level = nextDiskLevel(known, { freePercent, minFreePercent: disk.minFreePercent });
  return { level, notice: describeDisk(level, freePercent) };
}

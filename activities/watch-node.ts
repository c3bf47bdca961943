import { Context } from '@temporalio/activity';
import type { NodeActivities } from '../contracts/activities.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { DaemonWatch } from './node-ports.ts';
import { createWakeUp } from './wake-up.ts';

/**
 * Creates the activity that watches this node's Docker daemon: its heartbeats are the node's sign of life, its result
 * is a change of state.
 *
 * Safe to run twice: it changes nothing. When this process is about to end it returns what it knows, so that a
 * restart within the pick-up time is no loss of the node.
 */
export function createWatchNode(daemon: DaemonWatch): Pick<NodeActivities, 'watchNode'> {
  return {
    watchNode: ({ known, maxMs }) =>
      withHeartbeats({ step: 'watch' }, async () => {
        const context = Context.current();
        const wakeUp = createWakeUp();
        const unsubscribe = daemon.onChange(wakeUp.ring);
        const endsAt = performance.now() + maxMs;
        const isUnchanged = (): boolean => daemon.current().state === known && !daemon.isClosing();
        try {
          while (isUnchanged() && performance.now() < endsAt) {
            await wakeUp.wait(endsAt - performance.now(), context.cancellationSignal);
          }
        } finally {
          unsubscribe();
        }
        return daemon.current();
      }),
  };
}

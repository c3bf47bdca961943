import type { DaemonState, DaemonWatch } from '../../activities/node-ports.ts';
import type { NodeLease } from './lease.ts';

const WITHOUT_LEASE: DaemonState = { state: 'degraded', reason: 'the node cannot renew its lease' };

/** The watch of a daemon that also counts as degraded while this process may change nothing there, for want of a lease. */
export function whileLeased(daemon: DaemonWatch, lease: Pick<NodeLease, 'isHeld' | 'onChange'>): DaemonWatch {
  return {
    current: () => (lease.isHeld() ? daemon.current() : WITHOUT_LEASE),
    isClosing: () => daemon.isClosing(),
    onChange: (listener) => {
      const unsubscribe = [daemon.onChange(listener), lease.onChange(listener)];
      return () => {
        for (const end of unsubscribe) end();
      };
    },
  };
}

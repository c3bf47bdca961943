import type { DaemonState, DaemonWatch } from '../../activities/node-ports.ts';

/** The watch of a daemon that a test makes sick and well; it is well at first. */
export function aWatchedDaemon() {
  const listeners = new Set<() => void>();
  let state: DaemonState = { state: 'ready', reason: '' };
  const watch: Pick<DaemonWatch, 'current' | 'onChange'> = {
    current: () => state,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const become = (next: DaemonState['state']): void => {
    state = { state: next, reason: next === 'ready' ? '' : 'docker does not answer' };
    for (const listener of listeners) listener();
  };
  return { watch, become, listeners };
}

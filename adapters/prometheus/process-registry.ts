import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * Milliseconds between two looks at the event loop. By default there are a hundred a second, each of which wakes the process
 * up: beside a streamer that has nothing else to do for most of its time that was nearly all of its wake-ups.
 *
 * The `nodejs_eventloop_lag_*` of Node count from one look to the next, so this is in them: 0.1 s is no lag.
 */
const LOOK_MS = 100;

/** Creates a registry with what Node counts of this process: CPU, memory, event loop, garbage collection. */
export function createProcessRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOK_MS });
  return registry;
}

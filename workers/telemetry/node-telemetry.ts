import { Gauge, type Registry } from 'prom-client';
import { createProcessRegistry } from '../../adapters/prometheus/process-registry.ts';

/** Creates the counters of a node's process: Node's own, and which version it is. */
export function createNodeTelemetry(version: string): Registry {
  const registry = createProcessRegistry();
  const about = new Gauge({
    name: 'obiente_node_info',
    help: 'Always 1; the version of the process that works for this node.',
    labelNames: ['version'],
    registers: [registry],
  });
  about.set({ version }, 1);
  return registry;
}

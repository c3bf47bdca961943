import { Counter, Gauge, Histogram } from 'prom-client';
import { createProcessRegistry } from '../adapters/prometheus/process-registry.ts';

/** What the API counts about itself. */
export interface ApiTelemetry {
  /** Counts a call that began; the answer counts its end. */
  enter(kind: 'unary' | 'stream'): () => void;
  /** Counts a call that ended. */
  finished(call: { readonly method: string; readonly code: string; readonly seconds: number }): void;
  /** Everything in Prometheus' text format. */
  render(): Promise<string>;
  readonly contentType: string;
}

/** From 2 ms (a read that the database has in memory) to 60 s (longest wait for a workflow's answer). */
const BUCKETS_S = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What is counted in the database when the counters are read; what is not to be had then is left out. */
export interface CountedAlerts {
  readonly firing: Readonly<Record<'warning' | 'critical', number>>;
  readonly notifications: Readonly<Record<'waiting' | 'failed', number>>;
}

/** Creates the counters, and Node's own: event loop delay, heap, garbage collection. Method names bound the labels. */
export function createApiTelemetry(countAlerts?: () => Promise<CountedAlerts>): ApiTelemetry {
  const registry = createProcessRegistry();
  const finished = new Histogram({
    name: 'obiente_rpc_duration_seconds',
    help: 'Duration of RPCs by method and code; a stream counts when it ends.',
    labelNames: ['method', 'code'],
    buckets: BUCKETS_S,
    registers: [registry],
  });
  const total = new Counter({
    name: 'obiente_rpc_total',
    help: 'RPCs that ended, by method and code.',
    labelNames: ['method', 'code'],
    registers: [registry],
  });
  const active = new Gauge({
    name: 'obiente_rpc_active',
    help: 'RPCs under way.',
    labelNames: ['kind'],
    registers: [registry],
  });
  const firing = new Gauge({
    name: 'obiente_alerts_firing',
    help: 'Alerts of this installation that fire, by severity. Each API process tells the same.',
    labelNames: ['severity'],
    registers: [registry],
    async collect() {
      this.reset();
      notifications.reset();
      // A database that is away leaves a gap, which is what Prometheus shows then.
      const counted = await countAlerts?.().catch(() => undefined);
      for (const [severity, count] of Object.entries(counted?.firing ?? {})) firing.set({ severity }, count);
      for (const [state, count] of Object.entries(counted?.notifications ?? {})) notifications.set({ state }, count);
    },
  });
  const notifications = new Gauge({
    name: 'obiente_notifications',
    help: 'Notifications that wait, or that failed for good within a day. Each API process tells the same.',
    labelNames: ['state'],
    registers: [registry],
  });
  return {
    enter: (kind) => {
      active.inc({ kind });
      return () => active.dec({ kind });
    },
    finished: ({ method, code, seconds }) => {
      total.inc({ method, code });
      finished.observe({ method, code }, seconds);
    },
    render: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

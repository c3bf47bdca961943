import { Counter, Gauge, type Registry } from 'prom-client';
import { createProcessRegistry } from '../../adapters/prometheus/process-registry.ts';

/** What an orchestrator counts about itself. */
export interface OrchestratorTelemetry {
  readonly registry: Registry;
  /** Counts an evaluation of all alert rules that came to its end. */
  readonly evaluated: (counts: { readonly fired: number; readonly resolved: number }) => void;
  /** Counts the end of an attempt to deliver a notification. */
  readonly attempted: (outcome: 'delivered' | 'failed' | 'given-up') => void;
}

/** Creates the counters, and Node's own. */
export function createOrchestratorTelemetry(): OrchestratorTelemetry {
  const registry = createProcessRegistry();
  const registers = [registry];
  const evaluations = new Counter({
    ...{ name: 'obiente_alert_evaluations_total', help: 'Evaluations of all alert rules that ended.', registers },
  });
  const newest = new Gauge({
    name: 'obiente_alert_evaluation_timestamp_seconds',
    help: 'When the newest evaluation of all alert rules by this process ended; 0 before the first.',
    registers,
  });
  const transitions = new Counter({
    name: 'obiente_alert_transitions_total',
    help: 'Alerts that this process saw fire or resolve in evaluations of all rules.',
    labelNames: ['event'],
    registers,
  });
  const attempts = new Counter({
    name: 'obiente_notification_attempts_total',
    help: 'Attempts to deliver a notification, by how they ended.',
    labelNames: ['outcome'],
    registers,
  });
  for (const event of ['fired', 'resolved']) transitions.inc({ event }, 0);
  for (const outcome of ['delivered', 'failed', 'given-up']) attempts.inc({ outcome }, 0);
  return {
    registry,
    evaluated: ({ fired, resolved }) => {
      evaluations.inc();
      newest.setToCurrentTime();
      transitions.inc({ event: 'fired' }, fired);
      transitions.inc({ event: 'resolved' }, resolved);
    },
    attempted: (outcome) => attempts.inc({ outcome }),
  };
}

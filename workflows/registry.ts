/** Every workflow type of this platform: what the orchestrator's bundle holds. */
export { buildImage } from './build-image.ts';
export { deliverNotification } from './deliver-notification.ts';
export { deployment } from './deployment.ts';
export { drainNode } from './drain-node.ts';
export { evaluateAlerts } from './evaluate-alerts.ts';
export { retainMetrics, rollUpMetrics } from './metrics-upkeep.ts';
export { node } from './node.ts';
export { rebalance } from './rebalance.ts';
export { reconcile } from './reconcile.ts';
export { retention } from './retention.ts';
export { retentionDue } from './retention-due.ts';
export { rotateKeys } from './rotate-keys.ts';
export { restoreVolume, snapshotVolume } from './snapshot-volume.ts';

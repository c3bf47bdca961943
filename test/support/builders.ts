import { createHash, randomUUID } from 'node:crypto';
import type { DeployRequest, RemoveRequest } from '../../contracts/deployment.ts';
import { DEFAULT_TIMING, type RolloutTiming } from '../../contracts/timing.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, type DeploymentSpec } from '../../domain/spec.ts';

/** A complete, valid spec of an image. */
export function aSpec(changes: Partial<DeploymentSpec> = {}): DeploymentSpec {
  return {
    source: { kind: 'image', reference: 'example.test/app:1' },
    replicas: 1,
    port: 8080,
    environment: [],
    healthCheck: DEFAULT_HEALTH_CHECK,
    limits: DEFAULT_LIMITS,
    restartPolicy: 'always',
    command: [],
    ...changes,
  };
}

/** A request for a new revision; the first of a deployment names it. */
export function aDeployRequest(changes: Partial<DeployRequest> = {}): DeployRequest {
  const spec = changes.spec ?? aSpec();
  const requestHash = createHash('sha256').update(JSON.stringify(spec)).digest('hex');
  return { ...anOperation(), requestHash, createAs: 'app', spec, ...changes };
}

/** A request for a deployment's end. */
export function aRemoveRequest(changes: Partial<RemoveRequest> = {}): RemoveRequest {
  return { ...anOperation(), requestHash: createHash('sha256').update('remove').digest('hex'), ...changes };
}

function anOperation() {
  const operationId = randomUUID();
  return { operationId, idempotencyKey: `key-${operationId}`, actorUserId: randomUUID() };
}

/** Durations for tests: everything that only waits is short. */
export const QUICK: RolloutTiming = {
  ...DEFAULT_TIMING,
  nodePickUpMs: 10_000,
  heartbeatMs: 2_000,
  drainMs: 10,
  stopGraceMs: 100,
};

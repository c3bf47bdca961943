import { createHash, randomUUID } from 'node:crypto';
import type { DeployRequest, OperationRequest, PlainRequest } from '../../contracts/deployment.ts';
import { DEFAULT_TIMING, type RolloutTiming } from '../../contracts/timing.ts';
import { DEFAULT_ROLLOUT } from '../../domain/rollout-policy.ts';
import {
  type ComposeSpec,
  DEFAULT_HEALTH_CHECK,
  DEFAULT_LIMITS,
  type GitSource,
  PLAIN_CONTAINER,
  type ServiceSpec,
  type SingleSpec,
} from '../../domain/spec.ts';

/** A complete, valid spec of an image. */
export function aSpec(changes: Partial<SingleSpec> = {}): SingleSpec {
  return {
    source: { kind: 'image', reference: 'example.test/app:1' },
    replicas: 1,
    port: 8080,
    environment: [],
    healthCheck: DEFAULT_HEALTH_CHECK,
    limits: DEFAULT_LIMITS,
    restartPolicy: 'always',
    command: [],
    rollout: DEFAULT_ROLLOUT,
    ...changes,
  };
}

/** A branch of a repository. */
export function aGitSource(changes: Partial<GitSource> = {}): GitSource {
  const repository = { url: 'https://git.example.test/acme/shop.git', subdirectory: '', submodules: false };
  return { kind: 'git', ref: 'main', dockerfilePath: 'Dockerfile', ...repository, ...changes };
}

/** A repository of which nothing says how it is built, or with a Compose file that is asked for. */
export function anOpenGitSource(changes: Partial<GitSource> = {}): GitSource {
  const { dockerfilePath: _, ...source } = aGitSource();
  return { ...source, ...changes };
}

/** What a Compose file says: a service that is built from the commit, and one that is pulled. */
export function aReadFile(names: { readonly [service: string]: 'built' | 'pulled' }): ComposeSpec {
  const services = Object.entries(names).map(([name, kind]): ServiceSpec => {
    const { rollout: _, placement: __, ...parts } = aSpec({ port: null });
    const source = kind === 'built' ? aGitSource({ ref: 'c'.repeat(40), subdirectory: name }) : parts.source;
    return { ...parts, name, source, replicas: 1, container: PLAIN_CONTAINER, needs: [] };
  });
  return { services, rollout: DEFAULT_ROLLOUT, warnings: [] };
}

/** A request for a new revision; the first of a deployment names it. */
export function aDeployRequest(changes: Partial<DeployRequest> = {}): DeployRequest {
  const spec = changes.spec ?? aSpec();
  return { ...anIdentity(spec), kind: 'deploy', createAs: 'app', spec, ...changes };
}

/** A request for a deployment's end. */
export function aRemoveRequest(changes: Partial<PlainRequest> = {}): PlainRequest {
  return { ...anIdentity('remove'), kind: 'remove', ...changes };
}

/** Any other request; what it asks for is given. */
export function aRequest<Wish extends Pick<OperationRequest, 'kind'>>(wish: Wish) {
  return { ...anIdentity(wish), ...wish };
}

function anIdentity(asked: unknown) {
  const operationId = randomUUID();
  const requestHash = createHash('sha256').update(JSON.stringify(asked)).digest('hex');
  const who = { actorUserId: randomUUID(), reason: '', supersedeRunning: false };
  return { operationId, idempotencyKey: `key-${operationId}`, requestHash, ...who };
}

/** Durations for tests: everything that only waits is short. */
export const QUICK: RolloutTiming = {
  ...DEFAULT_TIMING,
  nodePickUpMs: 10_000,
  heartbeatMs: 2_000,
  sourceMs: 8_000,
  drainMs: 10,
  stopGraceMs: 100,
};

import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createEnsureReplica } from '../../activities/ensure-replica.ts';
import type { ReplicaPorts } from '../../activities/node-ports.ts';
import { createRemoveReplica } from '../../activities/remove-replica.ts';
import { createDocker } from '../../adapters/docker/docker.ts';
import { createProber } from '../../adapters/probe/prober.ts';
import type { EnsureReplicaInput } from '../../contracts/node-activities.ts';
import { isDomainError, RETRYABLE } from '../../domain/errors.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../domain/spec.ts';
import { type FaultProxy, socketPathOf, startFaultProxy } from '../faults/fault-proxy.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { aWatchedDaemon } from '../support/well-daemon.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let test: TestDocker;
let proxy: FaultProxy;
let ports: ReplicaPorts;

beforeAll(async () => {
  test = await openTestDocker();
  proxy = await startFaultProxy({ to: { socketPath: DOCKER_SOCKET }, unit: 'http' });
  const { instance } = test;
  ports = {
    instance,
    nodeAddress: '127.0.0.1',
    daemon: aWatchedDaemon().watch,
    runtime: createDocker({
      socketPath: socketPathOf(proxy),
      instance,
      nodeAddress: '127.0.0.1',
      requestTimeoutMs: 3_000,
    }),
    prober: createProber(),
    restarts: { claim: async () => () => undefined, retire: async () => undefined },
    fetchEnvironment: async () => ({}),
    fetchRegistryCredential: async () => null,
    ensureBuiltImage: () => Promise.reject(new Error('nothing is built here')),
    startSlot: (task) => task(),
    onContainerChange: () => () => undefined,
    foundHealthy: () => undefined,
    keepFailureLog: async () => undefined,
  };
});

afterAll(async () => {
  await proxy?.stop();
  await test?.remove();
});

function anInput(): EnsureReplicaInput {
  return {
    template: {
      deploymentId: randomUUID(),
      projectId: randomUUID(),
      service: 'app',
      container: PLAIN_CONTAINER,
      serviceName: 'app',
      operationId: randomUUID(),
      revision: 1,
      port: 8080,
      command: [],
      healthCheck: { ...DEFAULT_HEALTH_CHECK, intervalMs: 500 },
      limits: DEFAULT_LIMITS,
      restartPolicy: 'always',
      hasEnvironment: false,
    },
    replicaId: 'r1-0',
    index: 0,
    image: { kind: 'reference', reference: test.image, digest: null },
  };
}

/** Tries again as a workflow would: as long as the failure is one that may pass. */
async function withRetries<Answer>(attempt: () => Promise<Answer>): Promise<{ answer: Answer; attempts: number }> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return { answer: await attempt(), attempts };
    } catch (error) {
      if (!isDomainError(error) || !RETRYABLE[error.code] || attempts === 10) throw error;
    }
  }
}

function run<Input, Answer>(activity: (input: Input) => Promise<Answer>, input: Input) {
  const quiet = { logger: new DefaultLogger('ERROR') };
  return withRetries(() => new MockActivityEnvironment({}, quiet).run(activity, input) as Promise<Answer>);
}

describe('a daemon that carries calls out and never says so', () => {
  it.each([
    ['the network was created', /POST \/networks\/create/],
    ['the container was created', /POST \/containers\/create/],
    ['it was started', /POST \/containers\/\w+\/start/],
    ['it was found running', /GET \/containers\/\w+\/json/],
  ])('ends with exactly one replica when no answer came after %s', async (_, call) => {
    proxy.add({ calls: call, fault: { kind: 'swallow' }, times: 1 });
    const before = proxy.hits.length;
    const input = anInput();
    const { answer, attempts } = await run(createEnsureReplica(ports).ensureReplica, input);
    expect(proxy.hits.length).toBe(before + 1);
    expect(attempts).toBe(2);
    expect(await test.listContainers()).toEqual([answer.containerId]);
    await run(createRemoveReplica(ports).removeReplica, { ...removalOf(input), stopGraceMs: 1_000 });
    expect(await test.listContainers()).toEqual([]);
  });

  it('never makes a second replica when every create goes unanswered for a while', async () => {
    proxy.add({ calls: /POST \/containers\/create/, fault: { kind: 'swallow' }, times: 2 });
    const input = anInput();
    const { answer } = await run(createEnsureReplica(ports).ensureReplica, input);
    expect(await test.listContainers()).toEqual([answer.containerId]);
    await run(createRemoveReplica(ports).removeReplica, { ...removalOf(input), stopGraceMs: 1_000 });
  });
});

describe('a request to create a replica', () => {
  it('has the variables in its body, where no log of requests shows them', async () => {
    // In an address each of these characters takes three, and the daemon takes no address of a megabyte.
    const value = `canary-${'%'.repeat(100_000)}`;
    const variables = Object.fromEntries([1, 2, 3, 4].map((number) => [`SECRET_${number}`, value]));
    const takeAway = proxy.add({ calls: /POST \/containers\/create/, fault: { kind: 'delay', ms: 0 } });
    const input = anInput();
    const withVariables = { ...ports, fetchEnvironment: async () => variables };
    const hasEnvironment = { ...input, template: { ...input.template, hasEnvironment: true } };
    const { answer } = await run(createEnsureReplica(withVariables).ensureReplica, hasEnvironment);
    takeAway();
    const { Config } = await test.client.getContainer(answer.containerId).inspect();
    expect(Config.Env).toContain(`SECRET_4=${value}`);
    const created = proxy.hits.at(-1)?.call ?? '';
    expect(created).toContain('?name=');
    expect(created).not.toContain('canary');
    await run(createRemoveReplica(ports).removeReplica, { ...removalOf(input), stopGraceMs: 1_000 });
  });
});

function removalOf({ template: { deploymentId, revision }, index }: EnsureReplicaInput) {
  return { deploymentId, revision, index };
}

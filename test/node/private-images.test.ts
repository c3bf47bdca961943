import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createEnsureReplica } from '../../activities/ensure-replica.ts';
import type { ReplicaPorts } from '../../activities/node-ports.ts';
import { createProber } from '../../adapters/probe/prober.ts';
import type { EnsureReplicaInput } from '../../contracts/node-activities.ts';
import type { StartedReplica, WantedImage } from '../../contracts/rollout.ts';
import { DomainError } from '../../domain/errors.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../domain/spec.ts';
import { openTestDocker, type TestDocker } from '../support/docker.ts';
import { REGISTRY_USERS, startTestRegistry, type TestRegistry } from '../support/registry.ts';
import { aWatchedDaemon } from '../support/well-daemon.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let test: TestDocker;
let registry: TestRegistry;
let ports: ReplicaPorts;
const fetchRegistryCredential = vi.fn<ReplicaPorts['fetchRegistryCredential']>();

beforeAll(async () => {
  test = await openTestDocker();
  registry = await startTestRegistry({ authenticated: true });
  ports = {
    instance: test.instance,
    nodeAddress: '127.0.0.1',
    runtime: test.docker,
    prober: createProber(),
    daemon: aWatchedDaemon().watch,
    fetchEnvironment: async () => ({}),
    fetchRegistryCredential,
    ensureBuiltImage: () => Promise.reject(new Error('nothing is built here')),
    restarts: { claim: async () => () => undefined, retire: async () => undefined },
    startSlot: (task) => task(),
    onContainerChange: () => () => undefined,
    foundHealthy: () => undefined,
    keepFailureLog: async () => undefined,
  };
});
afterAll(async () => {
  await registry?.remove(test.client);
  await test?.remove();
});
afterEach(async () => {
  fetchRegistryCredential.mockReset();
  for (const id of await test.listContainers()) await test.client.getContainer(id).remove({ force: true, v: true });
});

function anInput(image: WantedImage): EnsureReplicaInput {
  const template = {
    ...{
      deploymentId: randomUUID(),
      projectId: randomUUID(),
      service: 'app',
      serviceName: 'app',
      operationId: randomUUID(),
    },
    ...{ revision: 1, port: null, command: ['/bin/sleep', '600'], limits: DEFAULT_LIMITS },
    healthCheck: { ...DEFAULT_HEALTH_CHECK, probe: { kind: 'none' } as const },
    ...{ restartPolicy: 'always' as const, hasEnvironment: false, container: PLAIN_CONTAINER },
  };
  return { template, replicaId: 'r1-0', index: 0, image };
}

function ensure(input: EnsureReplicaInput, using: Partial<ReplicaPorts> = {}) {
  const activity = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const beats: unknown[] = [];
  activity.on('heartbeat', (details) => beats.push(details));
  const { ensureReplica } = createEnsureReplica({ ...ports, ...using });
  const started = activity.run(ensureReplica, input) as Promise<StartedReplica>;
  started.catch(() => undefined);
  return { started, beats };
}

async function aPushed(): Promise<{ image: WantedImage & { kind: 'reference' }; name: string; digest: string }> {
  const name = `acme/app-${randomUUID().slice(0, 8)}:latest`;
  const digest = await registry.push(test.client, test.image, { name, mark: randomUUID() });
  return { image: { kind: 'reference', reference: `${registry.host}/${name}`, digest: null }, name, digest };
}

describe('bringing a replica up from a private registry', () => {
  it('pulls with the credential of its own revision, which stands in no heartbeat', async () => {
    fetchRegistryCredential.mockResolvedValue({ id: randomUUID(), ...REGISTRY_USERS.alice });
    const { image, digest } = await aPushed();
    const input = anInput(image);
    const { started, beats } = ensure(input);
    expect(await started).toMatchObject({ imageDigest: digest });
    const { deploymentId, revision, service } = input.template;
    expect(fetchRegistryCredential.mock.calls).toEqual([[{ deploymentId, revision, service }]]);
    expect(JSON.stringify(beats)).not.toContain('canary');
  });

  it('needs no credential where the revision is pinned to an image that is there', async () => {
    fetchRegistryCredential.mockResolvedValue({ id: randomUUID(), ...REGISTRY_USERS.alice });
    const { image, digest } = await aPushed();
    await ensure(anInput(image)).started;
    fetchRegistryCredential.mockRejectedValue(new DomainError('NODE_UNAVAILABLE', 'the control plane is away'));
    expect(await ensure(anInput({ ...image, digest })).started).toMatchObject({ imageDigest: digest });
    await expect(ensure(anInput(image)).started).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
  });

  it('goes on with the image of an earlier attempt, though the tag has moved since', async () => {
    fetchRegistryCredential.mockResolvedValue({ id: randomUUID(), ...REGISTRY_USERS.alice });
    const { image, name, digest } = await aPushed();
    const input = anInput(image);
    const died: Partial<ReplicaPorts['runtime']> = { startContainer: () => Promise.reject(new Error('killed')) };
    await expect(ensure(input, { runtime: { ...test.docker, ...died } }).started).rejects.toThrow('killed');
    const moved = await registry.push(test.client, test.image, { name, mark: randomUUID() });
    expect(await ensure(input).started).toMatchObject({ imageDigest: digest });
    expect(await ensure(anInput(image)).started).toMatchObject({ imageDigest: moved });
  });

  it('fails with the answer of the registry, and leaves nothing', async () => {
    fetchRegistryCredential.mockResolvedValue({ id: randomUUID(), username: 'alice', password: 'canary-wrong' });
    const { image } = await aPushed();
    const failure = await ensure(anInput(image)).started.catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'IMAGE_UNAVAILABLE', message: expect.stringContaining('unauthorized') });
    expect(String((failure as Error).stack)).not.toContain('canary');
    expect(await test.listContainers()).toEqual([]);
  });
});

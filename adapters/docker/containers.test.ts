import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WantedContainer } from '../../domain/container.ts';
import { containerName, networkName, ownedLabels, replicaLabels } from '../../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../domain/spec.ts';
import { openTestDocker, type TestDocker } from '../../test/support/docker.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestDocker;
let imageId: string;
let network: string;

beforeAll(async () => {
  test = await openTestDocker();
  const wanted = { kind: 'reference', reference: test.image, digest: null } as const;
  ({ imageId } = await test.docker.ensureImage(wanted, { deploymentId: randomUUID() }));
  const projectId = randomUUID();
  network = networkName(test.instance, projectId);
  const labels = ownedLabels({ instance: test.instance, projectId });
  await Promise.all([1, 2, 3].map(() => test.docker.ensureNetwork({ name: network, labels })));
});

afterAll(() => test?.remove());

function aContainer(changes: Partial<WantedContainer> = {}): WantedContainer {
  const replica = { instance: test.instance, deploymentId: randomUUID(), revision: 1, index: 0 };
  const owner = { projectId: randomUUID(), service: 'app', serviceName: 'app', operationId: randomUUID() };
  return {
    name: containerName(replica),
    imageId,
    labels: replicaLabels({ ...replica, ...owner }),
    environment: { GREETING: 'a=b c' },
    command: [],
    port: 8080,
    limits: DEFAULT_LIMITS,
    restartPolicy: 'always',
    healthCheck: DEFAULT_HEALTH_CHECK,
    settings: PLAIN_CONTAINER,
    network,
    alias: 'app',
    ...changes,
  };
}

async function running(wanted: WantedContainer): Promise<string> {
  const { id } = await test.docker.createContainer(wanted);
  await test.docker.startContainer(id);
  return id;
}

describe('a container', () => {
  it('is listed with its full id, name and labels, running or not, and no other installation’s is', async () => {
    const wanted = aContainer();
    const { id } = await test.docker.createContainer(wanted);
    const foreign = aContainer();
    const labels = { ...foreign.labels, 'cloud.obiente.instance': 'another' };
    const { id: foreignId } = await test.docker.createContainer({ ...foreign, labels });
    const listed = await test.docker.listContainers();
    const found = listed.find((container) => container.id === id);
    expect(found).toMatchObject({ name: wanted.name, labels: wanted.labels });
    expect(await test.docker.listContainerIds()).toContain(id);
    expect(listed.map((container) => container.id)).not.toContain(foreignId);
    await test.docker.removeContainer(foreignId);
  });

  it('runs on the private network and publishes its port on the node address only', async () => {
    const id = await running(aContainer());
    const found = await test.docker.findContainer(id);
    expect(found).toMatchObject({ id, imageId, status: 'running', exitCode: null, restarts: 0, dockerHealth: null });
    expect(found?.ipAddress).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(found?.hostPort).toBeGreaterThan(0);
    const info = await test.client.getContainer(id).inspect();
    expect(Object.keys(info.NetworkSettings.Networks)).toEqual([network]);
    expect(info.NetworkSettings.Ports['8080/tcp']?.map((bound) => bound.HostIp)).toEqual(['127.0.0.1']);
    expect(await test.docker.listContainerIds()).toContain(id);
  });

  it('is hardened whatever the image says', async () => {
    const { id } = await test.docker.createContainer(aContainer());
    const { HostConfig: host, Config: config, Mounts: mounts } = await test.client.getContainer(id).inspect();
    expect(host).toMatchObject({
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      PidsLimit: 512,
      Memory: DEFAULT_LIMITS.memoryBytes,
      MemorySwap: DEFAULT_LIMITS.memoryBytes,
      NanoCpus: 1e9,
      IpcMode: 'private',
      PidMode: '',
      UTSMode: '',
      UsernsMode: '',
      PublishAllPorts: false,
      Binds: null,
      VolumesFrom: null,
      RestartPolicy: { Name: 'unless-stopped' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
    });
    expect(host.CapAdd?.map((name: string) => name.replace('CAP_', '')).sort()).toEqual(
      ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'].sort(),
    );
    expect(mounts.map((mount) => mount.Type)).toEqual(['volume']);
    expect(config.Healthcheck?.Test).toEqual(['NONE']);
    expect(config.Env).toContain('GREETING=a=b c');
  });

  it('does not inherit labels that mean something to the platform or the ingress', async () => {
    const wanted = aContainer();
    const { id } = await test.docker.createContainer(wanted);
    const { labels } = (await test.docker.findContainer(id)) ?? { labels: {} };
    expect(labels).toMatchObject({
      'traefik.enable': '',
      'traefik.http.routers.x.rule': '',
      'cloud.obiente.forged': '',
      'cloud.obiente.deployment_id': wanted.labels['cloud.obiente.deployment_id'],
      own: 'kept',
    });
  });

  it('leaves no volume behind when it is removed', async () => {
    const id = await running(aContainer());
    const { Mounts: mounts } = await test.client.getContainer(id).inspect();
    await test.docker.removeContainer(id);
    expect(await test.docker.findContainer(id)).toBeUndefined();
    const { Volumes: volumes } = await test.client.listVolumes();
    expect(volumes.map((volume) => volume.Name)).not.toContain(mounts[0]?.Name);
  });

  it('is removed once however many ask for it', async () => {
    const id = await running(aContainer());
    await Promise.all([1, 2, 3].map(() => test.docker.removeContainer(id)));
    await test.docker.removeContainer(id);
    await test.docker.stopContainer(id, 1_000);
  });

  it('starts and stops as often as it is asked to', async () => {
    const id = await running(aContainer({ command: ['/bin/sh', '-c', 'trap "exit 7" TERM; sleep 60 & wait'] }));
    await test.docker.startContainer(id);
    await test.docker.stopContainer(id, 5_000);
    await test.docker.stopContainer(id, 5_000);
    expect(await test.docker.findContainer(id)).toMatchObject({ status: 'exited', exitCode: 7 });
  });
});

describe('creating a container twice', () => {
  it('adopts what the first attempt made, from whatever operation', async () => {
    const wanted = aContainer();
    const first = await test.docker.createContainer(wanted);
    const again = { ...wanted, labels: { ...wanted.labels, 'cloud.obiente.operation': randomUUID() } };
    expect(first.adopted).toBe(false);
    expect(await test.docker.createContainer(again)).toEqual({ id: first.id, adopted: true });
  });

  it('makes one container when many try at once', async () => {
    const wanted = aContainer();
    const attempts = await Promise.allSettled([1, 2, 3, 4].map(() => test.docker.createContainer(wanted)));
    for (const attempt of attempts) {
      if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    }
    const made = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
    expect(made.filter(({ adopted }) => !adopted)).toHaveLength(1);
    const { id } = await test.docker.createContainer(wanted);
    expect(new Set(made.map((container) => container.id))).toEqual(new Set([id]));
  });

  it.each([
    ['another environment', { environment: { GREETING: 'other' } }],
    ['another command', { command: ['/bin/true'] }],
    ['another port', { port: 9090 }],
    ['other limits', { limits: { ...DEFAULT_LIMITS, cpuCores: 0.5 } }],
  ] as [string, Partial<WantedContainer>][])('refuses one of that name with %s', async (_, change) => {
    const wanted = aContainer();
    await test.docker.createContainer(wanted);
    await expect(test.docker.createContainer({ ...wanted, ...change })).rejects.toMatchObject({
      code: 'REPLICA_CONFLICT',
    });
  });

  it('refuses a container of that name that somebody else made', async () => {
    const wanted = aContainer();
    await test.client.createContainer({ name: wanted.name, Image: test.image, Labels: { ...wanted.labels } });
    await expect(test.docker.createContainer(wanted)).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
  });
});

describe('what cannot be started', () => {
  it('is told with the reason when the command does not exist', async () => {
    const { id } = await test.docker.createContainer(aContainer({ command: ['/no/such/thing'] }));
    await expect(test.docker.startContainer(id)).rejects.toMatchObject({
      code: 'REPLICA_EXITED',
      message: expect.stringContaining('/no/such/thing'),
    });
  });

  it('is told apart when its network is gone', async () => {
    const { id } = await test.docker.createContainer(aContainer({ network: `${network}x` }));
    await expect(test.docker.startContainer(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a network', () => {
  let labels: Record<string, string>;
  let name: string;

  beforeEach(() => {
    const projectId = randomUUID();
    labels = ownedLabels({ instance: test.instance, projectId });
    name = networkName(test.instance, projectId);
  });

  it('is left while a container uses it and removed afterwards', async () => {
    await test.docker.ensureNetwork({ name, labels });
    const id = await running(aContainer({ network: name }));
    await test.docker.removeNetworkIfUnused(name);
    await test.client.getNetwork(name).inspect();
    await test.docker.removeContainer(id);
    await test.docker.removeNetworkIfUnused(name);
    await test.docker.removeNetworkIfUnused(name);
    await expect(test.client.getNetwork(name).inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  it('is made again once it was forgotten', async () => {
    await test.docker.ensureNetwork({ name, labels });
    await test.client.getNetwork(name).remove();
    test.docker.forgetNetwork(name);
    await test.docker.ensureNetwork({ name, labels });
    expect((await test.client.getNetwork(name).inspect()).Labels).toEqual(labels);
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WantedContainer } from '../../domain/container.ts';
import { networkName, ownedLabels } from '../../domain/naming.ts';
import { DEFAULT_LIMITS } from '../../domain/spec.ts';
import { type ContainerMaker, describeContainers, openContainerMaker } from '../../test/support/container-contract.ts';
import { openTestDocker, type TestDocker } from '../../test/support/docker.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestDocker;
let make: ContainerMaker;

beforeAll(async () => {
  test = await openTestDocker();
  make = await openContainerMaker(test);
});

afterAll(() => test?.remove());

describeContainers('plain docker', openTestDocker);

describe('a container', () => {
  it('is listed with its full id, name and labels, running or not, and no other installation’s is', async () => {
    const wanted = make.aContainer();
    const { id } = await test.docker.createContainer(wanted);
    const foreign = make.aContainer();
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
    const id = await make.running(make.aContainer());
    const found = await test.docker.findContainer(id);
    expect(found).toMatchObject({
      id,
      imageId: make.imageId,
      status: 'running',
      exitCode: null,
      restarts: 0,
      dockerHealth: null,
    });
    expect(found?.ipAddress).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(found?.hostPort).toBeGreaterThan(0);
    const info = await test.client.getContainer(id).inspect();
    expect(Object.keys(info.NetworkSettings.Networks)).toEqual([make.network]);
    expect(info.NetworkSettings.Ports['8080/tcp']?.map((bound) => bound.HostIp)).toEqual(['127.0.0.1']);
    expect(await test.docker.listContainerIds()).toContain(id);
  });

  it('is hardened whatever the image says', async () => {
    const { id } = await test.docker.createContainer(make.aContainer());
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

  it('leaves no volume behind when it is removed', async () => {
    const id = await make.running(make.aContainer());
    const { Mounts: mounts } = await test.client.getContainer(id).inspect();
    await test.docker.removeContainer(id);
    expect(await test.docker.findContainer(id)).toBeUndefined();
    const { Volumes: volumes } = await test.client.listVolumes();
    expect(volumes.map((volume) => volume.Name)).not.toContain(mounts[0]?.Name);
  });

  it('starts and stops as often as it is asked to', async () => {
    const id = await make.running(
      make.aContainer({ command: ['/bin/sh', '-c', 'trap "exit 7" TERM; sleep 60 & wait'] }),
    );
    await test.docker.startContainer(id);
    await test.docker.stopContainer(id, 5_000);
    await test.docker.stopContainer(id, 5_000);
    expect(await test.docker.findContainer(id)).toMatchObject({ status: 'exited', exitCode: 7 });
  });
});

describe('creating a container twice', () => {
  it.each([
    ['another environment', { environment: { GREETING: 'other' } }],
    ['another command', { command: ['/bin/true'] }],
    ['another port', { port: 9090 }],
    ['other limits', { limits: { ...DEFAULT_LIMITS, cpuCores: 0.5 } }],
  ] as [string, Partial<WantedContainer>][])('refuses one of that name with %s', async (_, change) => {
    const wanted = make.aContainer();
    await test.docker.createContainer(wanted);
    await expect(test.docker.createContainer({ ...wanted, ...change })).rejects.toMatchObject({
      code: 'REPLICA_CONFLICT',
    });
  });

  it('refuses a container of that name that somebody else made', async () => {
    const wanted = make.aContainer();
    await test.client.createContainer({ name: wanted.name, Image: test.image, Labels: { ...wanted.labels } });
    await expect(test.docker.createContainer(wanted)).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
  });
});

describe('what cannot be started', () => {
  it('is told apart when its network is gone', async () => {
    const { id } = await test.docker.createContainer(make.aContainer({ network: `${make.network}x` }));
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
    const id = await make.running(make.aContainer({ network: name }));
    await test.docker.removeNetworkIfUnused(name);
    await test.client.getNetwork(name).inspect();
    await test.docker.removeContainer(id);
    await test.docker.removeNetworkIfUnused(name);
    await test.docker.removeNetworkIfUnused(name);
    await expect(test.client.getNetwork(name).inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  it('is one again where Docker has made two of its name, and the used one of them', async () => {
    const create = () => test.client.createNetwork({ Name: name, Driver: 'bridge', Labels: labels });
    const first = await create();
    await make.running(make.aContainer({ network: name }));
    await create();
    await test.docker.ensureNetwork({ name, labels });
    expect(await test.client.getNetwork(name).inspect()).toMatchObject({ Id: first.id });
  });

  it('is made once, whatever asks for it, forgets it and removes it at the same time', async () => {
    const asked = Array.from({ length: 10 }, async (_, index) => {
      if (index % 3 === 1) test.docker.forgetNetwork(name);
      if (index % 3 === 2) await test.docker.removeNetworkIfUnused(name);
      await test.docker.ensureNetwork({ name, labels });
    });
    await Promise.all(asked);
    await test.docker.ensureNetwork({ name, labels });
    const found = await test.client.listNetworks({ filters: { name: [name] } });
    expect(found).toHaveLength(1);
  });

  it('is made again once it was forgotten', async () => {
    await test.docker.ensureNetwork({ name, labels });
    await test.client.getNetwork(name).remove();
    test.docker.forgetNetwork(name);
    await test.docker.ensureNetwork({ name, labels });
    expect((await test.client.getNetwork(name).inspect()).Labels).toEqual(labels);
  });
});

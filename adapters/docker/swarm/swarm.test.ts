import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { networkName, ownedLabels } from '../../../domain/naming.ts';
import { DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../../domain/spec.ts';
import {
  type ContainerMaker,
  describeContainers,
  openContainerMaker,
} from '../../../test/support/container-contract.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { openTestSwarm, type TestSwarm } from '../../../test/support/swarm.ts';
import { isServiceId } from './swarm-labels.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

describeContainers('a swarm', () => openTestSwarm());

describe('a host that has lost the other managers', () => {
  it('goes on telling what runs, says what is wrong, and is back with them', async () => {
    const test = await openTestSwarm({ managers: 2 });
    const make = await openContainerMaker(test);
    const id = await make.running(make.aContainer());
    const crashing = await make.running(make.aContainer({ command: ['/bin/sh', '-c', 'sleep 2; exit 4'] }));
    const before = await test.docker.findContainer(id);
    expect(before?.ipAddress).toMatch(/^\d+\./);
    await eventually(async () => expect((await test.docker.findContainer(crashing))?.exitCode).toBe(4));
    await test.cutOff();
    await eventually(async () => expect((await test.docker.checkHealth()).kind).toBe('unanswered'));
    const begun = performance.now();
    expect(await test.docker.findContainer(id)).toEqual(before);
    expect(await test.docker.listContainerIds()).toEqual(expect.arrayContaining([id, crashing]));
    expect(performance.now() - begun).toBeLessThan(5_000);
    await expect(test.docker.createContainer(make.aContainer())).rejects.toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    expect(await test.docker.findContainer(crashing)).toMatchObject({ id: crashing, labels: expect.anything() });
    await test.joinAgain();
    await eventually(async () => expect(await test.docker.checkHealth()).toEqual({ kind: 'healthy' }), {
      patienceMs: 120_000,
    });
    for (const one of [id, crashing]) await test.docker.removeContainer(one);
    await test.remove();
  }, 300_000);
});

describe('a replica on a swarm', () => {
  let test: TestSwarm;
  let make: ContainerMaker;

  beforeAll(async () => {
    test = await openTestSwarm();
    make = await openContainerMaker(test);
  });
  afterAll(() => test?.remove());

  const taskOf = async (id: string) => {
    const filters = { label: [`com.docker.swarm.service.id=${id}`] };
    const [found] = await test.client.listContainers({ all: true, filters });
    return await test.client.getContainer(found?.Id ?? '').inspect();
  };

  it('is hardened whatever the image says, and published on the address of its node only', async () => {
    const tmpfs = [{ path: '/scratch', sizeBytes: 1024 * 1024 }];
    const settings = { ...PLAIN_CONTAINER, readOnly: true, init: true, user: '1000', tmpfs };
    const id = await make.running(make.aContainer({ settings, command: ['/bin/sleep', '600'] }));
    expect(isServiceId(id)).toBe(true);
    const {
      HostConfig: host,
      Config: config,
      Mounts: mounts,
      State: state,
      NetworkSettings: networks,
    } = await taskOf(id);
    expect(host).toMatchObject({
      ...{ Privileged: false, CapDrop: ['ALL'], PidsLimit: 512, Memory: DEFAULT_LIMITS.memoryBytes, NanoCpus: 1e9 },
      ...{ IpcMode: 'private', PidMode: '', UsernsMode: '', Binds: null, ReadonlyRootfs: true, Init: true },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
    });
    expect(host.CapAdd?.map((name: string) => name.replace('CAP_', '')).sort()).toEqual(
      ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'NET_BIND_SERVICE', 'SETGID', 'SETUID'].sort(),
    );
    expect(config).toMatchObject({ User: '1000', Healthcheck: { Test: ['NONE'] } });
    expect(mounts.map(({ Type, Destination }) => `${Type} ${Destination}`).sort()).toEqual([
      'tmpfs /scratch',
      'volume /data',
    ]);
    expect(Object.keys(networks.Networks)).toEqual([make.network]);
    expect(networks.Ports['8080/tcp']?.map(({ HostIp }) => HostIp)).toEqual([test.address]);
    expect(await readFile(`/proc/${state.Pid}/status`, 'utf8')).toMatch(/^NoNewPrivs:\s1$/m);
    await test.docker.removeContainer(id);
  });

  it('finds neighbours of its cohort under their plain names, and not those of another', async () => {
    const names = (cohort: number) => ({
      own: `prices.cohort-${cohort}`,
      lookUp: { prices: `prices.cohort-${cohort}` },
    });
    const serving = (body: string) => [
      '/bin/sh',
      '-c',
      `mkdir -p /tmp/www && echo ${body} > /tmp/www/index.html && httpd -f -p 8080 -h /tmp/www`,
    ];
    const [one, two] = await Promise.all(
      [1, 2].map((cohort) =>
        make.running(make.aContainer({ alias: 'prices', names: names(cohort), command: serving(`cohort-${cohort}`) })),
      ),
    );
    const ask = [
      '/bin/sh',
      '-c',
      'for i in 1 2 3 4 5; do printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc prices 8080 | tail -1; done; sleep 60',
    ];
    for (const cohort of [1, 2]) {
      const asking = await make.running(
        make.aContainer({ names: { ...names(cohort), own: `web.cohort-${cohort}` }, alias: 'web', command: ask }),
      );
      await eventually(async () => {
        const lines = (await test.docker.readLogTail(asking, 10)).map(({ text }) => text);
        expect(lines).toEqual(Array.from({ length: 5 }, () => `cohort-${cohort}`));
      });
      await test.docker.removeContainer(asking);
    }
    for (const id of [one, two]) await test.docker.removeContainer(id ?? '');
  });

  it('takes no work while the swarm gives its host none, and says so', async () => {
    expect(await test.docker.checkHealth()).toEqual({ kind: 'healthy' });
    const { Swarm } = (await test.client.info()) as { Swarm: { NodeID: string } };
    const node = test.client.getNode(Swarm.NodeID);
    const set = async (Availability: string, Labels: Record<string, string> = {}): Promise<void> => {
      const { Version, Spec } = (await node.inspect()) as { Version: { Index: number }; Spec: object };
      await node.update({ version: Version.Index, ...Spec, Availability, Labels } as object);
    };
    await set('pause', { region: 'eu', Odd: 'Not A Word' });
    expect(await test.docker.checkHealth()).toEqual({
      kind: 'unreachable',
      reason: 'its availability in the swarm is pause',
    });
    expect(await test.docker.describeHost()).toMatchObject({ labels: { region: 'eu' }, cpuCores: expect.any(Number) });
    await set('active');
    expect(await test.docker.checkHealth()).toEqual({ kind: 'healthy' });
    // Bound to the node's address, so nothing but the age of the engine is weaker.
    expect(test.weaknesses.every((weakness) => weakness.includes('no-new-privileges'))).toBe(true);
  });

  it('takes the place of a project’s bridge once nothing is attached to it', async () => {
    const projectId = randomUUID();
    const labels = ownedLabels({ instance: test.instance, projectId });
    const name = networkName(test.instance, projectId);
    await test.client.createNetwork({ Name: name, Driver: 'bridge', Labels: labels });
    const attached = { Image: test.image, Cmd: ['/bin/sleep', '600'], HostConfig: { NetworkMode: name } };
    const container = await test.client.createContainer(attached);
    await container.start();
    const refused = test.docker.ensureNetwork({ name, labels });
    await expect(refused).rejects.toMatchObject({ code: 'REPLICA_CONFLICT', message: expect.stringContaining(name) });
    await container.remove({ force: true, v: true });
    await test.docker.ensureNetwork({ name, labels });
    const found = (await test.client.listNetworks({ filters: { name: [name] } })).map(({ Scope }) => Scope);
    expect(found).toEqual(['swarm']);
    const id = await make.running(make.aContainer({ network: name }));
    await test.docker.removeContainer(id);
  });

  it('is left to plain docker where it was made before there was a swarm', async () => {
    const wanted = make.aContainer();
    const made = await test.client.createContainer({
      name: wanted.name,
      Image: test.image,
      Labels: { ...wanted.labels },
    });
    expect(await test.docker.findContainer(wanted.name)).toMatchObject({ id: made.id, status: 'created' });
    expect(await test.docker.listContainerIds()).toContain(made.id);
    await test.docker.removeContainer(made.id);
    expect(await test.docker.findContainer(made.id)).toBeUndefined();
  });
});

it('is refused by name where there is no swarm', async () => {
  const { openTestDocker, DOCKER_SOCKET } = await import('../../../test/support/docker.ts');
  const { createSwarm } = await import('./swarm.ts');
  const corner = await openTestDocker();
  const of = {
    socketPath: DOCKER_SOCKET,
    instance: corner.instance,
    nodeAddress: '127.0.0.1',
    requestTimeoutMs: 10_000,
  };
  const docker = createSwarm({ ...of, tell: () => undefined });
  await expect(docker.describeHost()).rejects.toMatchObject({
    code: 'CONFIGURATION',
    message: expect.stringContaining('RUNTIME=swarm: this host is in no swarm (state: inactive)'),
  });
  expect(await docker.checkHealth()).toMatchObject({ kind: 'unreachable' });
  await corner.remove();
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NODE_LABEL, type WantedContainer } from '../../domain/container.ts';
import { containerName, LABEL, networkName, ownedLabels, replicaLabels } from '../../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../domain/spec.ts';
import type { TestDocker } from './docker.ts';
import { eventually } from './eventually.ts';

/** Makes containers for tests, in a network that is there. */
export interface ContainerMaker {
  readonly imageId: string;
  readonly network: string;
  aContainer(changes?: Partial<WantedContainer>): WantedContainer;
  /** Makes and starts one. */
  running(wanted: WantedContainer): Promise<string>;
}

/** Opens it in a corner of a daemon. */
export async function openContainerMaker(test: TestDocker): Promise<ContainerMaker> {
  const wanted = { kind: 'reference', reference: test.image, digest: null } as const;
  const { imageId } = await test.docker.ensureImage(wanted, { deploymentId: randomUUID() });
  const projectId = randomUUID();
  const network = networkName(test.instance, projectId);
  const labels = ownedLabels({ instance: test.instance, projectId });
  await Promise.all([1, 2, 3].map(() => test.docker.ensureNetwork({ name: network, labels })));
  return {
    ...{ imageId, network },
    aContainer: (changes = {}) => {
      const replica = { instance: test.instance, deploymentId: randomUUID(), revision: 1, index: 0 };
      const owner = { projectId: randomUUID(), service: 'app', serviceName: 'app', operationId: randomUUID() };
      return {
        ...{ name: containerName(replica), imageId, labels: replicaLabels({ ...replica, ...owner }) },
        ...{ environment: { GREETING: 'a=b c' }, command: [], port: 8080, limits: DEFAULT_LIMITS },
        ...{ restartPolicy: 'always', healthCheck: DEFAULT_HEALTH_CHECK, settings: PLAIN_CONTAINER },
        ...{ network, alias: 'app' },
        ...changes,
      };
    },
    running: async (one) => {
      const { id } = await test.docker.createContainer(one);
      await test.docker.startContainer(id);
      return id;
    },
  };
}

/** What everything above a runtime relies on, whatever its replicas are made of. */
export function describeContainers(runtime: string, open: () => Promise<TestDocker>): void {
  describe(`a container on ${runtime}`, () => {
    let test: TestDocker;
    let make: ContainerMaker;

    beforeAll(async () => {
      test = await open();
      make = await openContainerMaker(test);
    });
    afterAll(() => test?.remove());

    it('is created, started, stopped and removed, each as often as it is asked for', async () => {
      const wanted = make.aContainer({ command: ['/bin/sh', '-c', 'trap "exit 7" TERM; sleep 60 & wait'] });
      const { id } = await test.docker.createContainer(wanted);
      expect(await test.docker.findContainer(wanted.name)).toMatchObject({ id, status: 'created', startedAt: null });
      await test.docker.startContainer(id);
      await test.docker.startContainer(id);
      const found = await test.docker.findContainer(id);
      expect(found).toMatchObject({ id, imageId: make.imageId, status: 'running', exitCode: null, restarts: 0 });
      expect(found?.labels).toMatchObject({ ...wanted.labels, [NODE_LABEL.restart]: 'always' });
      expect(await test.docker.findContainer(wanted.name)).toEqual(found);
      await test.docker.stopContainer(id, 5_000);
      await test.docker.stopContainer(id, 5_000);
      expect(await test.docker.findContainer(id)).toMatchObject({ id, status: 'exited' });
      await test.docker.startContainer(id);
      expect(await test.docker.findContainer(id)).toMatchObject({ id, status: 'running' });
      await Promise.all([1, 2, 3].map(() => test.docker.removeContainer(id)));
      await test.docker.removeContainer(id);
      await test.docker.stopContainer(id, 1_000);
      expect(await test.docker.findContainer(id)).toBeUndefined();
      expect(await test.docker.findContainer(wanted.name)).toBeUndefined();
    });

    it('is killed when it has not ended within its grace', async () => {
      const id = await make.running(make.aContainer({ command: ['/bin/sh', '-c', 'trap "" TERM; sleep 60 & wait'] }));
      const begun = performance.now();
      await test.docker.stopContainer(id, 1_000);
      expect(performance.now() - begun).toBeLessThan(15_000);
      expect((await test.docker.findContainer(id))?.status).toBe('exited');
      await test.docker.removeContainer(id);
    });

    it('answers at its own address and at its published port, and the host port is told', async () => {
      const id = await make.running(make.aContainer());
      const found = await test.docker.findContainer(id);
      expect(found?.ipAddress).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      expect(found?.hostPort).toBeGreaterThan(0);
      await test.docker.removeContainer(id);
    });

    it('is listed by its id, name and labels, and no other installation’s is', async () => {
      const wanted = make.aContainer();
      const id = await make.running(wanted);
      const foreign = make.aContainer();
      const labels = { ...foreign.labels, [LABEL.instance]: 'another' };
      const making = make.running({ ...foreign, labels });
      if (test.isOwnOnly) await expect(making).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      const foreignId = await making.catch(() => id);
      const listed = await test.docker.listContainers();
      const found = listed.filter((container) => container.id === id);
      expect(found).toEqual([expect.objectContaining({ name: wanted.name })]);
      expect(found[0]?.labels).toMatchObject(wanted.labels);
      expect(await test.docker.listContainerIds()).toContain(id);
      if (foreignId !== id) expect(listed.map((container) => container.id)).not.toContain(foreignId);
      const things = (await test.docker.listLabelled()).filter(({ kind }) => kind === 'container');
      const thing = things.find((one) => one.id === id);
      expect(thing).toMatchObject({ name: wanted.name, createdAtMs: expect.any(Number) });
      expect(thing?.labels).toMatchObject(wanted.labels);
      for (const one of [id, foreignId]) await test.docker.removeContainer(one);
    });

    it('does not inherit labels that mean something to the platform or the ingress', async () => {
      const wanted = make.aContainer();
      const id = await make.running(wanted);
      const { labels } = (await test.docker.findContainer(id)) ?? { labels: {} };
      expect(labels).toMatchObject({
        ...{ 'traefik.enable': '', 'traefik.http.routers.x.rule': '', 'cloud.obiente.forged': '', own: 'kept' },
        [LABEL.deploymentId]: wanted.labels[LABEL.deploymentId],
      });
      await test.docker.removeContainer(id);
    });

    it('gets each byte of its variables, whatever they look like', async () => {
      const value = '$HOME {{.Node.Hostname}} {{ "quoted" }} \'single\' \\ back {{{{';
      const command = ['/bin/sh', '-c', 'echo "$GREETING"; sleep 60'];
      const id = await make.running(make.aContainer({ environment: { GREETING: value }, command }));
      await eventually(async () => {
        expect((await test.docker.readLogTail(id, 5)).map(({ text }) => text)).toEqual([value]);
      });
      await test.docker.removeContainer(id);
    });

    it('comes back under its id when its process is killed, and that is told', async () => {
      const aborting = new AbortController();
      const events: string[] = [];
      const command = ['/bin/sh', '-c', 'echo hello; sleep 600'];
      const id = await make.running(make.aContainer({ command }));
      const following = (async () => {
        for await (const event of test.docker.followEvents(aborting.signal)) {
          if (event.kind !== 'connected' && event.containerId === id) events.push(event.kind);
          else if (event.kind === 'connected') events.push('connected');
        }
      })();
      await eventually(() => expect(events).toContain('connected'));
      const before = await test.docker.findContainer(id);
      await killProcessesOf(test, before?.labels[LABEL.deploymentId] ?? '');
      const again = await eventually(async () => {
        const found = await test.docker.findContainer(id);
        expect(found?.startedAt).not.toBe(before?.startedAt);
        expect(found?.status).toBe('running');
        return found;
      });
      expect(again).toMatchObject({ id, restarts: 1, exitCode: null, finishedAt: expect.any(String) });
      await eventually(() => expect(events).toEqual(expect.arrayContaining(['exited', 'changed'])));
      await test.docker.removeContainer(id);
      aborting.abort();
      await following;
    });

    it.each([
      ['never', 3, 'exited'],
      ['on-failure', 0, 'exited'],
      ['on-failure', 3, 'restarting'],
    ] as const)('with the policy %s that ends with %i is then %s', async (restartPolicy, code, status) => {
      const command = ['/bin/sh', '-c', `sleep 1; exit ${code}`];
      const id = await make.running(make.aContainer({ restartPolicy, command }));
      await eventually(async () => {
        const found = await test.docker.findContainer(id);
        expect(found).toMatchObject({ status, exitCode: code, daemonPolicy: restartPolicy });
      });
      await test.docker.removeContainer(id);
    });

    it('is made once, whoever asks for it and however often', async () => {
      const wanted = make.aContainer();
      const attempts = await Promise.allSettled([1, 2, 3, 4].map(() => test.docker.createContainer(wanted)));
      for (const attempt of attempts) {
        if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
      }
      const made = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
      expect(made.filter(({ adopted }) => !adopted)).toHaveLength(1);
      const again = { ...wanted, labels: { ...wanted.labels, [LABEL.operation]: randomUUID() } };
      const { id } = await test.docker.createContainer(again);
      expect(new Set(made.map((container) => container.id))).toEqual(new Set([id]));
      await test.docker.removeContainer(id);
    });

    it.each([
      ['another environment', { environment: { GREETING: 'other' } }],
      ['another command', { command: ['/bin/true'] }],
      ['other limits', { limits: { ...DEFAULT_LIMITS, cpuCores: 0.5 } }],
    ] as [string, Partial<WantedContainer>][])('is not taken for one of its name with %s', async (_, change) => {
      const wanted = make.aContainer();
      const { id } = await test.docker.createContainer(wanted);
      const other = test.docker.createContainer({ ...wanted, ...change });
      await expect(other).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
      await test.docker.removeContainer(id);
    });

    it('that cannot be run says why', async () => {
      const { id } = await test.docker.createContainer(make.aContainer({ command: ['/no/such/thing'] }));
      const starting = test.docker.startContainer(id);
      const message = expect.stringContaining('/no/such/thing');
      await expect(starting).rejects.toMatchObject({ code: 'REPLICA_EXITED', message });
      await test.docker.removeContainer(id);
    });

    it('does not write a volume that another one writes', async () => {
      const volume = { name: `obiente-${test.instance}-vol-${randomUUID()}`, path: '/stored', readOnly: false };
      await test.docker.ensureVolume({ name: volume.name, labels: { [LABEL.instance]: test.instance } });
      const first = make.aContainer({ volumes: [volume] });
      const id = await make.running(first);
      expect(await test.docker.createContainer(first)).toEqual({ id, adopted: true });
      const second = test.docker.createContainer(make.aContainer({ volumes: [volume] }));
      await expect(second).rejects.toMatchObject({ code: 'VOLUME_IN_USE' });
      await test.docker.removeContainer(id);
      await eventually(() => test.docker.removeVolume(volume.name));
    });

    it('keeps its network from being removed, and no longer than it is there', async () => {
      const projectId = randomUUID();
      const labels = ownedLabels({ instance: test.instance, projectId });
      const name = networkName(test.instance, projectId);
      const networks = test.networks ?? test.client;
      await test.docker.ensureNetwork({ name, labels });
      const id = await make.running(make.aContainer({ network: name }));
      await test.docker.removeNetworkIfUnused(name);
      await networks.getNetwork(name).inspect();
      await test.docker.removeContainer(id);
      await test.docker.removeNetworkIfUnused(name);
      await test.docker.removeNetworkIfUnused(name);
      await eventually(async () => {
        await expect(networks.getNetwork(name).inspect()).rejects.toMatchObject({ statusCode: 404 });
      });
      await test.docker.ensureNetwork({ name, labels });
      expect((await networks.getNetwork(name).inspect()).Labels).toEqual(labels);
      await test.docker.removeNetworkIfUnused(name);
    });
  });
}

/** Behind the daemon's back, as a crash does. */
async function killProcessesOf({ client }: TestDocker, deploymentId: string): Promise<void> {
  const filters = { label: [`${LABEL.deploymentId}=${deploymentId}`], status: ['running'] };
  for (const { Id } of await client.listContainers({ filters })) {
    process.kill((await client.getContainer(Id).inspect()).State.Pid, 'SIGKILL');
  }
}

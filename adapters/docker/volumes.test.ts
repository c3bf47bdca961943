import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { WantedContainer } from '../../domain/container.ts';
import {
  containerName,
  LABEL,
  networkName,
  ownedLabels,
  replicaLabels,
  volumeLabels,
  volumeName,
} from '../../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../domain/spec.ts';
import { useTestDocker } from '../../test/support/test-docker.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const docker = useTestDocker();
let imageId: string;
let network: string;

beforeAll(async () => {
  const { instance, image, docker: adapter } = docker.corner;
  const wanted = { kind: 'reference', reference: image, digest: null } as const;
  ({ imageId } = await adapter.ensureImage(wanted, { deploymentId: randomUUID() }));
  const projectId = randomUUID();
  network = networkName(instance, projectId);
  await adapter.ensureNetwork({ name: network, labels: ownedLabels({ instance, projectId }) });
});

async function aVolume(): Promise<string> {
  const { instance, docker: adapter } = docker.corner;
  const volumeId = randomUUID();
  const name = volumeName(instance, { volumeId });
  const labels = volumeLabels({ instance, projectId: randomUUID(), volumeId });
  await Promise.all([1, 2, 3].map(() => adapter.ensureVolume({ name, labels })));
  return name;
}

function aContainer(volume: string, readOnly: boolean, script: string, index = 0): WantedContainer {
  const replica = { instance: docker.corner.instance, deploymentId: randomUUID(), revision: 1, index };
  const owner = { projectId: randomUUID(), service: 'app', serviceName: 'app', operationId: randomUUID() };
  return {
    name: containerName(replica),
    imageId,
    labels: replicaLabels({ ...replica, ...owner }),
    environment: {},
    command: ['/bin/sh', '-c', script],
    port: null,
    limits: DEFAULT_LIMITS,
    restartPolicy: 'never',
    healthCheck: DEFAULT_HEALTH_CHECK,
    settings: PLAIN_CONTAINER,
    volumes: [{ name: volume, path: '/var/data', readOnly }],
    network,
    alias: 'app',
  };
}

/** Runs a script with the volume, and answers with its exit code once the container is gone. */
async function run(volume: string, readOnly: boolean, script: string): Promise<number> {
  const { client, docker: adapter } = docker.corner;
  const { id } = await adapter.createContainer(aContainer(volume, readOnly, script));
  await adapter.startContainer(id);
  const { StatusCode } = (await client.getContainer(id).wait()) as { StatusCode: number };
  await adapter.removeContainer(id);
  return StatusCode;
}

describe('a volume', () => {
  it('keeps what was written when the container that wrote it is removed', async () => {
    const volume = await aVolume();
    expect(await run(volume, false, 'echo kept > /var/data/note')).toBe(0);
    expect(await run(volume, true, 'test "$(cat /var/data/note)" = kept')).toBe(0);
    expect(await run(volume, true, 'echo lost > /var/data/note')).not.toBe(0);
    const { Labels, Driver } = await docker.corner.client.getVolume(volume).inspect();
    expect(Labels).toMatchObject({ [LABEL.instance]: docker.corner.instance, [LABEL.managed]: 'true' });
    expect(Driver).toBe('local');
  });

  it('is left as it is when it is ensured again, also with other labels', async () => {
    const volume = await aVolume();
    await run(volume, false, 'echo kept > /var/data/note');
    await docker.corner.docker.ensureVolume({ name: volume, labels: {} });
    expect(await run(volume, true, 'test -f /var/data/note')).toBe(0);
  });

  it('is not removed while a container mounts it, running or not, and then once however many ask', async () => {
    const volume = await aVolume();
    const { docker: adapter, client } = docker.corner;
    const { id } = await adapter.createContainer(aContainer(volume, true, 'true'));
    await expect(adapter.removeVolume(volume)).rejects.toMatchObject({ code: 'VOLUME_IN_USE' });
    await adapter.removeContainer(id);
    await Promise.all([1, 2, 3].map(() => adapter.removeVolume(volume)));
    await adapter.removeVolume(volume);
    const { Volumes } = await client.listVolumes();
    expect(Volumes.map(({ Name }) => Name)).not.toContain(volume);
  });
});

describe('the only writer', () => {
  it('is one of many that are created at the same time; readers do not count', async () => {
    const volume = await aVolume();
    const { docker: adapter } = docker.corner;
    const reader = await adapter.createContainer(aContainer(volume, true, 'true'));
    const writers = Array.from({ length: 6 }, (_, index) => aContainer(volume, false, 'true', index));
    const outcomes = await Promise.allSettled(writers.map((wanted) => adapter.createContainer(wanted)));
    const created = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(created).toHaveLength(1);
    for (const error of refused) expect(error).toMatchObject({ code: 'VOLUME_IN_USE' });
    await Promise.all([reader, ...created].map(({ id }) => adapter.removeContainer(id)));
  });

  it('is found again by its own retry, and holds the volume after its end until it is removed', async () => {
    const volume = await aVolume();
    const { docker: adapter } = docker.corner;
    const wanted = aContainer(volume, false, 'true');
    const { id } = await adapter.createContainer(wanted);
    expect(await adapter.createContainer(wanted)).toEqual({ id, adopted: true });
    await adapter.startContainer(id);
    await docker.corner.client.getContainer(id).wait();
    const next = aContainer(volume, false, 'true');
    const refused = { code: 'VOLUME_IN_USE', message: expect.stringContaining(wanted.name) };
    await expect(adapter.createContainer(next)).rejects.toMatchObject(refused);
    await adapter.removeContainer(id);
    expect(await adapter.createContainer(next)).toMatchObject({ adopted: false });
  });
});

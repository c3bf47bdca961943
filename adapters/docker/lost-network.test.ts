import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { copyImage } from '../../test/support/copy-image.ts';
import { openTestDocker, type TestDocker } from '../../test/support/docker.ts';
import { type ExtraDocker, startExtraDocker } from '../../test/support/extra-docker.ts';
import { createReplicaStarter } from '../../test/support/replicas.ts';
import { createDocker, type Docker } from './docker.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** A network of its own with nothing but a loopback device, on which Docker's proxy publishes ports. */
const LOOPBACK_ONLY = ['unshare', '--net', '--', 'sh', '-c', 'ip link set lo up && exec "$@"', 'with-loopback'];
const DISK_BYTES = 256 * 1024 ** 2;

let corner: TestDocker;
let extra: ExtraDocker;
let docker: Docker;

beforeAll(async () => {
  corner = await openTestDocker();
  extra = await startExtraDocker({
    enter: LOOPBACK_ONLY,
    networking: ['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
    diskBytes: DISK_BYTES,
  });
  await copyImage(corner.image, corner.client, extra.client);
  docker = createDocker({
    ...{ socketPath: extra.socketPath, instance: corner.instance, nodeAddress: '127.0.0.1' },
    requestTimeoutMs: 30_000,
  });
});
afterAll(async () => {
  await extra?.remove();
  await corner?.remove();
});

it('a container whose daemon started on a full disk gets its network and its port back, and runs on', async () => {
  const startReplica = await createReplicaStarter({ ...corner, docker });
  const id = await startReplica({ port: 8080 });
  const before = await lookAt(id);
  expect(before).toMatchObject({ isAttached: true, isPublished: true });
  expect(await docker.reattach(id)).toBe(false);

  await extra.fillDisk();
  await extra.kill();
  await extra.start();
  expect(await lookAt(id)).toMatchObject({ isAttached: false, pid: before.pid });
  await expect(docker.reattach(id)).rejects.toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });

  await extra.freeDisk();
  expect(await docker.reattach(id)).toBe(true);
  expect(await lookAt(id)).toEqual(before);
  expect(await docker.reattach(id)).toBe(false);
});

/** How a container is, and whether its daemon knows it in its network. */
async function lookAt(id: string) {
  const { State, NetworkSettings } = await extra.client.getContainer(id).inspect();
  const [[name = '', settings] = []] = Object.entries(NetworkSettings.Networks);
  const { Containers } = await extra.client.getNetwork(name).inspect();
  const found = await docker.findContainer(id);
  return {
    pid: State.Pid,
    startedAt: State.StartedAt,
    isAttached: Containers?.[id] !== undefined,
    isPublished: found?.hostPort != null,
    aliases: settings?.Aliases?.toSorted(),
  };
}

import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CarryPorts, createCarryVolume, type VolumeHolder } from '../../activities/carry-volume.ts';
import { createDocker, type Docker } from '../../adapters/docker/docker.ts';
import { createLog } from '../../adapters/logging/log.ts';
import { openVolume } from '../../adapters/node-client/open-export.ts';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { createImageTokenSigner } from '../../adapters/tokens/image-token.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { createVolumeTokenSigner, createVolumeTokenVerifier } from '../../adapters/tokens/volume-token.ts';
import { DomainError } from '../../domain/errors.ts';
import { volumeLabels, volumeName } from '../../domain/naming.ts';
import { type RunningGateway, startNodeGateway } from '../../workers/node/gateway.ts';
import { copyImage } from '../support/copy-image.ts';
import { openTestDocker, type TestDocker } from '../support/docker.ts';
import { type ExtraDocker, startExtraDocker } from '../support/extra-docker.ts';
import { freePort } from '../support/free-port.ts';
import { openTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const A = 'node-aaaa0000aaaa';
const B = 'node-bbbb0000bbbb';
const MIB = 1024 * 1024;

const control = generateControlKey();
const volumes = createVolumeTokenSigner(control.privateJwk);
const { publicJwks } = createControlTokenSigner(control.privateJwk);

/** Node A has the volume, on the daemon of this machine; node B has a daemon of its own. */
let a: TestDocker;
let second: ExtraDocker;
let b: Docker;
let gateway: RunningGateway;
let proxy: TcpProxy;

beforeAll(async () => {
  const [corner, extra, port] = await Promise.all([openTestDocker(), startExtraDocker(), freePort()]);
  [a, second] = [corner, extra];
  b = createDocker({
    ...{ socketPath: second.socketPath, instance: a.instance, nodeAddress: '127.0.0.1' },
    requestTimeoutMs: 30_000,
  });
  await copyImage(a.image, a.client, second.client);
  const verifier = createVolumeTokenVerifier({ getJwks: () => publicJwks, nodeId: A });
  const refuse = () => Promise.reject(new DomainError('UNAUTHENTICATED', 'a token of another kind'));
  gateway = await startNodeGateway({
    ...{ bindAddress: '127.0.0.1', port, instance: a.instance, docker: a.docker },
    ...{ verifyToken: refuse, verifyImageToken: refuse, verifyVolumeToken: (token) => verifier.verify(token) },
    log: createLog({ role: 'node', level: 'silent' }),
  });
  proxy = await openTcpProxy(port);
});
afterAll(async () => {
  await proxy?.stop();
  await gateway?.stop();
  await second?.remove();
  await a?.remove();
});

type Client = TestDocker['client'];

/** Runs a script with a volume at `/v`, and answers with what it printed. */
async function run(client: Client, name: string, script: string): Promise<string> {
  const container = await client.createContainer({
    ...{ Image: a.image, Cmd: ['/bin/sh', '-c', script], Tty: true },
    HostConfig: { Binds: [`${name}:/v`], NetworkMode: 'none' },
  });
  await container.start();
  await container.wait();
  const printed = (await container.logs({ stdout: true, stderr: true })).toString();
  await container.remove({ force: true, v: true });
  return printed;
}

const TREE = 'cd /v && find . | sort | while read -r f; do stat -c "%A %u:%g %s %Y %h %N" "$f"; done; md5sum content';

/** A volume with some files on node A. */
async function aVolume(mib = 8): Promise<string> {
  const volumeId = randomUUID();
  const name = volumeName(a.instance, { volumeId });
  await a.docker.ensureVolume({ name, labels: volumeLabels({ instance: a.instance, projectId: volumeId, volumeId }) });
  const fill = `dd if=/dev/urandom of=/v/content bs=1048576 count=${mib} 2>/dev/null; mkdir -m 700 /v/deep; ln -s /etc /v/out`;
  await run(a.client, name, `${fill}; chown 12:34 /v/content; touch -d '2001-02-03 04:05:06' /v/content`);
  return volumeId;
}

async function holder(volumeId: string): Promise<VolumeHolder> {
  const token = await volumes.sign({ volumeId, copy: 0, from: A, to: B });
  return { nodeId: A, gatewayUrl: `http://127.0.0.1:${proxy.port}`, token, copy: 0 };
}

/** Carries the volume to node B as a worker does. */
async function carry(volumeId: string, changes: Partial<CarryPorts> = {}): Promise<void> {
  const { carryVolume } = createCarryVolume({
    ...{ instance: a.instance, runtime: b, openVolume },
    disk: { minFreePercent: 0, freePercent: () => 50 },
    fetchVolumeSource: () => holder(volumeId),
    ...changes,
  });
  await new MockActivityEnvironment().run(carryVolume, { volumeId, projectId: volumeId, copy: 1 });
}

const copyOf = (volumeId: string) => volumeName(a.instance, { volumeId, copy: 1 });
const treeOnA = (volumeId: string) => run(a.client, volumeName(a.instance, { volumeId }), TREE);
const treeOnB = (volumeId: string) => run(second.client, copyOf(volumeId), TREE);

describe('a volume that is carried to another node', () => {
  it('is the same there, and stays where it was', async () => {
    const volumeId = await aVolume();
    await carry(volumeId);
    const tree = await treeOnA(volumeId);
    expect(tree).toContain('12:34');
    expect(await treeOnB(volumeId)).toBe(tree);
    const { Labels } = await second.client.getVolume(copyOf(volumeId)).inspect();
    expect(Labels).toEqual(volumeLabels({ instance: a.instance, projectId: volumeId, volumeId }));
  });

  it('comes whole with the next attempt when the way broke', async () => {
    const volumeId = await aVolume(24);
    proxy.silenceAfter(6 * MIB);
    const broken = carry(volumeId);
    broken.catch(() => undefined);
    await vi.waitUntil(() => proxy.left() === 0, { timeout: 60_000 });
    proxy.resume();
    await expect(broken).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
    await carry(volumeId);
    expect(await treeOnB(volumeId)).toBe(await treeOnA(volumeId));
  });

  it('is not read while a container writes it', async () => {
    const volumeId = await aVolume(1);
    const writer = await a.client.createContainer({
      ...{ Image: a.image, Cmd: ['/bin/sleep', '60'] },
      HostConfig: { Binds: [`${volumeName(a.instance, { volumeId })}:/v`], NetworkMode: 'none' },
    });
    await expect(carry(volumeId)).rejects.toMatchObject({
      code: 'NODE_UNAVAILABLE',
      message: expect.stringContaining('writes it'),
    });
    await writer.remove({ force: true });
    await carry(volumeId);
  });

  it('stops before the disk is full, and says so', async () => {
    const volumeId = await aVolume(1);
    await expect(carry(volumeId, { disk: { minFreePercent: 10, freePercent: () => 9.4 } })).rejects.toMatchObject({
      code: 'INSUFFICIENT_CAPACITY',
      message: expect.stringContaining('9 % of its disk'),
    });
  });

  it('is refused with a token for another volume, for another node, or of another kind', async () => {
    const [volumeId, other] = [await aVolume(1), randomUUID()];
    const at = { ...(await holder(volumeId)), volumeId };
    const images = createImageTokenSigner(control.privateJwk);
    const tokens = [
      await volumes.sign({ volumeId: other, copy: 0, from: A, to: B }),
      await volumes.sign({ volumeId, copy: 1, from: A, to: B }),
      await volumes.sign({ volumeId, copy: 0, from: B, to: A }),
      await images.sign({ deploymentId: volumeId, imageId: `sha256:${'0'.repeat(64)}`, from: A, to: B }),
    ];
    for (const token of tokens) {
      const stream = openVolume({ ...at, token }, new AbortController().signal);
      await expect(stream.next()).rejects.toMatchObject({ message: expect.stringContaining('Unauthenticated') });
    }
  });

  it('is not found where it is not', async () => {
    const volumeId = randomUUID();
    const stream = openVolume({ ...(await holder(volumeId)), volumeId }, new AbortController().signal);
    await expect(stream.next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

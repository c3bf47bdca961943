import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import { DeploymentStatus, type Operation, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { askThroughIngress } from '../support/http.ts';
import { openApi } from '../support/platform.ts';
import { startProber } from '../support/prober.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aShopOf, type Shop } from './a-shop.ts';
import { createSubject, type SpecInit, type Subject } from './deployed.ts';
import { moveTag } from './moved-tag.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

/** The test image under a tag that is not looked up at each deploy. */
let steady = '';
beforeAll(async () => {
  const [repo = ''] = docker.corner.image.split(':');
  steady = `${repo}-steady:1`;
  await docker.corner.client.getImage(docker.corner.image).tag({ repo: `${repo}-steady`, tag: '1' });
});
afterAll(() => docker.corner.client.getImage(steady).remove({ force: true }));

const key = () => ({ idempotencyKey: randomUUID() });

/** A shop whose images are not looked up at each deploy. */
const aShop = (words: Shop, changes: SpecInit = {}): SpecInit => aShopOf(steady, words, changes);

const pageOf = async ({ name }: Subject): Promise<string> =>
  (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();

async function succeed(subject: Subject, asked?: Operation): Promise<void> {
  expect(await subject.outcome(asked?.id)).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
}

/** Replicas by service, asked of Docker behind the platform's back. */
async function containersOf({ id }: Subject): Promise<Record<string, string>> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`] };
  const containers = await docker.corner.client.listContainers({ all: true, filters });
  return Object.fromEntries(
    containers.map(({ Labels }) => [Labels[LABEL.service] ?? '', Labels[LABEL.replica] ?? '']).sort(),
  );
}

/** The image of each container, asked of Docker. */
async function imagesOf({ id }: Subject): Promise<string[]> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`] };
  return (await docker.corner.client.listContainers({ all: true, filters })).map(({ ImageID }) => ImageID);
}

describe('an application of several services', { timeout: 240_000 }, () => {
  it('comes up in order, reaches its services by name, and keeps what has not changed', async () => {
    const subject = await createSubject(api, aShop({ web: 'web-1', prices: 'prices-1', stock: 'stock-1' }));
    await succeed(subject);
    expect(await pageOf(subject)).toBe('web-1 prices-1 stock-1');
    const first = await subject.get();
    expect(first).toMatchObject({ status: DeploymentStatus.RUNNING, urls: [expect.stringContaining(subject.name)] });
    const before = await containersOf(subject);
    expect(Object.keys(before)).toEqual(['prices', 'stock', 'web']);

    const prober = startProber({ port: platform.httpPort, host: `${subject.name}.localhost`, perSecond: 20 });
    await succeed(subject, await subject.update(aShop({ web: 'web-2', prices: 'prices-1', stock: 'stock-1' })));
    expect(await pageOf(subject)).toBe('web-2 prices-1 stock-1');
    const after = await containersOf(subject);
    expect(after).toEqual({ ...before, web: expect.stringMatching(/^r2-/) });
    const { failed, total } = await prober.stop();
    expect(failed).toEqual([]);
    expect(total).toBeGreaterThan(20);
    await subject.remove();
    expect(await containersOf(subject)).toEqual({});
    const networks = await docker.corner.client.listNetworks({
      filters: { label: [`${LABEL.deploymentId}=${subject.id}`] },
    });
    expect(networks).toEqual([]);
  });

  it('is all new or all old: one service that fails takes the others back', async () => {
    const subject = await createSubject(api, aShop({ web: 'web-1', prices: 'prices-1', stock: 'stock-1' }));
    await succeed(subject);
    const before = await containersOf(subject);
    const broken = aShop({ web: 'web-2', prices: 'prices-2', stock: 'stock-2' });
    const source = broken.source as { value: { file: string } };
    const file = JSON.parse(source.value.file) as { services: { prices: { command: string[] } } };
    file.services.prices.command = ['/bin/sh', '-c', 'echo no prices today; exit 3'];
    const asked = await subject.update({ source: { case: 'compose', value: { file: JSON.stringify(file) } } });
    const outcome = await subject.outcome(asked.id);
    expect(outcome.state).toBe(OperationState.FAILED);
    expect(outcome.errorMessage).toContain('no prices today');
    const { logs } = await api.logs.listFailureLogs({ deploymentId: subject.id });
    expect(logs).toMatchObject([{ operationId: asked.id, service: 'prices', revision: 2 }]);
    expect(logs[0]?.lines.map(({ text }) => text)).toContain('no prices today');
    expect(await containersOf(subject)).toEqual(before);
    expect(await pageOf(subject)).toBe('web-1 prices-1 stock-1');
    expect(await subject.get()).toMatchObject({ status: DeploymentStatus.RUNNING });
    await subject.remove();
  });

  it('is rolled back to what each of its services ran, although their image has moved since', async () => {
    const { client } = docker.corner;
    const moving = `moving-${randomUUID().slice(0, 8)}:1`;
    const words = (turn: number): Shop => ({ web: `web-${turn}`, prices: `prices-${turn}`, stock: `stock-${turn}` });
    await moveTag(docker.corner, moving);
    const { Id: first } = await client.getImage(moving).inspect();
    const subject = await createSubject(api, aShopOf(moving, words(1)));
    await succeed(subject);
    expect(await imagesOf(subject)).toEqual([first, first, first]);

    await moveTag(docker.corner, moving);
    const { Id: second } = await client.getImage(moving).inspect();
    expect(second).not.toBe(first);
    await succeed(subject, await subject.update(aShopOf(moving, words(2))));
    expect(await imagesOf(subject)).toEqual([second, second, second]);
    expect(await pageOf(subject)).toBe('web-2 prices-2 stock-2');

    const { operation } = await api.deployments.rollbackDeployment({ ...key(), deploymentId: subject.id });
    await succeed(subject, operation);
    expect(await imagesOf(subject)).toEqual([first, first, first]);
    expect(await pageOf(subject)).toBe('web-1 prices-1 stock-1');
    await subject.remove();
    await client.getImage(moving).remove({ force: true });
  });

  it('is scaled, changed and rolled back by service', async () => {
    const subject = await createSubject(api, aShop({ web: 'web-1', prices: 'prices-1', stock: 'stock-1' }));
    await succeed(subject);
    const of = { deploymentId: subject.id };
    const scaled = await api.deployments.scaleDeployment({ ...key(), ...of, service: 'prices', replicas: 2 });
    await succeed(subject, scaled.operation);
    expect((await subject.get()).replicas.filter(({ service }) => service === 'prices')).toHaveLength(2);
    const limits = { cpuCores: 0.1, memoryBytes: 32n * 1024n * 1024n };
    const change = { spec: { limits }, updateMask: { paths: ['limits'] }, service: 'stock' };
    const updated = await api.deployments.updateDeployment({ ...key(), ...of, ...change });
    await succeed(subject, updated.deployment?.operation);
    const containers = await containersOf(subject);
    expect(containers).toMatchObject({ stock: expect.stringMatching(/^r2-/), web: expect.stringMatching(/^r1-/) });
    const nobody = api.deployments.updateDeployment({ ...key(), ...of, ...change, service: 'nobody' });
    await expect(nobody).rejects.toThrow(/service: found "nobody"; allowed is one of/);
    const back = await api.deployments.rollbackDeployment({ ...key(), ...of, toRevision: 1 });
    await succeed(subject, back.operation);
    expect(await containersOf(subject)).toMatchObject({ stock: expect.stringMatching(/^r3-/), web: containers.web });
    expect((await subject.get()).replicas.filter(({ service }) => service === 'prices')).toHaveLength(2);
    expect(await pageOf(subject)).toBe('web-1 prices-1 stock-1');
    await subject.remove();
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import { type Operation, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { whatPrints } from '../support/container-exec.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { openApi } from '../support/platform.ts';
import { startProber } from '../support/prober.ts';
import { refusalOf } from '../support/refusal.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { createSubject, firstProject, type SpecInit, type Subject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

/** The test image under a tag that is not looked up at each deploy. */
let steady = '';
let projectId = '';
beforeAll(async () => {
  const [repo = ''] = docker.corner.image.split(':');
  steady = `${repo}-steady:1`;
  await docker.corner.client.getImage(docker.corner.image).tag({ repo: `${repo}-steady`, tag: '1' });
  projectId = await firstProject(api);
});
afterAll(() => docker.corner.client.getImage(steady).remove({ force: true }));

const key = () => ({ idempotencyKey: randomUUID() });

async function succeed(subject: Subject, asked?: Operation): Promise<void> {
  expect(await subject.outcome(asked?.id)).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
}

const pageOf = async ({ name }: Subject): Promise<string> =>
  (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();

/** Serves the lines of a file in the volume, to which each of its starts adds one. */
function aLedger(volume: string, word: string, changes: SpecInit = {}): SpecInit {
  const script = `echo ${word} >> /ledger/index.html && exec httpd -f -p 8080 -h /ledger`;
  return {
    source: { case: 'image', value: { reference: steady } },
    port: 8080,
    command: ['/bin/sh', '-c', script],
    limits: { cpuCores: 0.1, memoryBytes: 16n * 1024n * 1024n },
    volumes: [{ volume, path: '/ledger' }],
    ...changes,
  } as SpecInit;
}

/** A shop whose `db` keeps a ledger, and whose `web` answers by itself. */
function aShop(word: string, changes: SpecInit = {}): SpecInit {
  const small = { deploy: { resources: { limits: { cpus: '0.1', memory: '16M' } } } };
  const serve = (folder: string) => `exec httpd -f -p 8080 -h ${folder}`;
  const web = `mkdir -p /tmp/www && echo ${word} > /tmp/www/index.html && ${serve('/tmp/www')}`;
  const db = `echo ${word} >> /ledger/index.html && ${serve('/ledger')}`;
  const healthcheck = { test: ['CMD', '/bin/true'], interval: '1s' };
  const file = JSON.stringify({
    services: {
      web: { image: steady, command: ['/bin/sh', '-c', web], ports: ['8080'], ...small, healthcheck },
      db: {
        ...{ image: steady, command: ['/bin/sh', '-c', db], expose: ['8080'], ...small, healthcheck },
        volumes: ['data:/ledger'],
      },
    },
    volumes: { data: {} },
  });
  return { source: { case: 'compose', value: { file } }, ...changes } as SpecInit;
}

/** What the ledger of a volume says, read behind the platform's back from a container that mounts it. */
async function ledgerOf({ id }: Subject, service: string): Promise<string[]> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`, `${LABEL.service}=${service}`] };
  const [container, ...more] = await docker.corner.client.listContainers({ filters });
  expect(more).toEqual([]);
  const ledger = await whatPrints(docker.corner.client, container?.Id ?? '', ['/bin/cat', '/ledger/index.html']);
  return ledger.trim().split(/\s+/);
}

/** How many containers of a service there are at a time at most, as Docker's own events tell it. */
async function countWriters(id: string, service: string) {
  const filters = { label: [`${LABEL.deploymentId}=${id}`, `${LABEL.service}=${service}`] };
  const running = new Set((await docker.corner.client.listContainers({ filters })).map(({ Id }) => Id));
  let most = running.size;
  const events = await docker.corner.client.getEvents({
    filters: { ...filters, type: ['container'], event: ['start', 'die'] },
  });
  events.on('data', (data: Buffer) => {
    for (const line of data.toString().trim().split('\n')) {
      const { Action, id: containerId } = JSON.parse(line) as { Action: string; id: string };
      if (Action === 'start') running.add(containerId);
      else running.delete(containerId);
      most = Math.max(most, running.size);
    }
  });
  return {
    stop: () => {
      (events as unknown as { destroy(): void }).destroy();
      return most;
    },
  };
}

async function removeVolume(name: string): Promise<void> {
  await api.volumes.deleteVolume({ ...key(), projectId, name });
  await eventually(
    async () => {
      const left = await api.volumes.getVolume({ projectId, name }).catch(() => undefined);
      if (left) throw new Error('the volume is still there');
    },
    { patienceMs: 60_000 },
  );
}

const dockerVolumes = async (): Promise<string[]> => {
  const filters = { label: [`${LABEL.instance}=${platform.instance}`] };
  return (await docker.corner.client.listVolumes({ filters })).Volumes.map(({ Name }) => Name);
};

describe('a volume', { timeout: 240_000 }, () => {
  it('keeps its data when its deployment is deleted, for the next one, until somebody deletes the volume', async () => {
    const volume = `ledger-${randomUUID().slice(0, 8)}`;
    const first = await createSubject(api, aLedger(volume, 'one'));
    await succeed(first);
    expect(await pageOf(first)).toBe('one');
    const used = await refusalOf(api.volumes.deleteVolume({ ...key(), projectId, name: volume }));
    expect(used).toMatchObject({ error: 'STILL_USED' });
    const second = createSubject(api, aLedger(volume, 'two'));
    await expect(second).rejects.toThrow(`app of ${first.name} writes ${volume}`);
    await first.remove();

    const { volume: left } = await api.volumes.getVolume({ projectId, name: volume });
    expect(left).toMatchObject({ mountedBy: [], writerDeployment: '', nodeId: expect.stringMatching(/.+/) });
    const again = await createSubject(api, aLedger(volume, 'two'));
    await succeed(again);
    expect((await pageOf(again)).split('\n')).toEqual(['one', 'two']);
    await again.remove();
    const before = await dockerVolumes();
    await removeVolume(volume);
    expect(await dockerVolumes()).toHaveLength(before.length - 1);
  });

  it('is written by one replica at a time, through updates, restarts and one that fails', async () => {
    const volume = `ledger-${randomUUID().slice(0, 8)}`;
    const subject = await createSubject(api, aLedger(volume, 'one'));
    await succeed(subject);
    const writers = await countWriters(subject.id, 'app');
    await succeed(subject, await subject.update(aLedger(volume, 'two')));
    const restarted = await api.deployments.restartDeployment({ ...key(), deploymentId: subject.id });
    await succeed(subject, restarted.operation);
    expect((await pageOf(subject)).split('\n')).toEqual(['one', 'two', 'two']);

    const failing = ['/bin/sh', '-c', 'echo no ledger today; exit 3'];
    const asked = await subject.update(aLedger(volume, 'three', { command: failing }));
    expect(await subject.outcome(asked.id)).toMatchObject({
      state: OperationState.FAILED,
      errorMessage: expect.stringContaining('no ledger today'),
    });
    expect((await pageOf(subject)).split('\n')).toEqual(['one', 'two', 'two', 'two']);
    expect(writers.stop()).toBe(1);
    const scale = api.deployments.scaleDeployment({ ...key(), deploymentId: subject.id, replicas: 2 });
    await expect(scale).rejects.toThrow(/replicas: found 2 of a service that writes a volume/);
    await subject.remove();
    await removeVolume(volume);
  });
});

describe('an application with a volume', { timeout: 240_000 }, () => {
  it('is updated under load: the service that writes is replaced alone, the other loses no request', async () => {
    const subject = await createSubject(api, aShop('one'));
    await succeed(subject);
    const volume = `${subject.name}-data`;
    const { volume: created } = await api.volumes.getVolume({ projectId, name: volume });
    expect(created).toMatchObject({ writerDeployment: subject.name, writerService: 'db', mountedBy: [subject.name] });
    const prober = startProber({ port: platform.httpPort, host: `${subject.name}.localhost`, perSecond: 20 });
    const writers = await countWriters(subject.id, 'db');
    await succeed(subject, await subject.update(aShop('two')));
    expect(await pageOf(subject)).toBe('two');
    expect(await ledgerOf(subject, 'db')).toEqual(['one', 'two']);

    const { operation } = await api.deployments.rollbackDeployment({ ...key(), deploymentId: subject.id });
    await succeed(subject, operation);
    expect(await pageOf(subject)).toBe('one');
    expect(await ledgerOf(subject, 'db')).toEqual(['one', 'two', 'one']);
    expect(writers.stop()).toBe(1);
    const { failed, total } = await prober.stop();
    expect(failed).toEqual([]);
    expect(total).toBeGreaterThan(20);
    await subject.remove();
    await removeVolume(volume);
  });
});

import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { afterAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import { DeploymentStatus, type Operation, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { RolloutPolicySchema } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { startProber } from '../support/prober.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject, type Subject } from './deployed.ts';
import { moveTag } from './moved-tag.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

const key = () => ({ idempotencyKey: randomUUID() });
const bodyOf = async ({ name }: Subject): Promise<string> =>
  (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();

async function aRunning(body: string, changes: Parameters<typeof aWebServer>[2] = {}): Promise<Subject> {
  const subject = await createSubject(api, aWebServer(docker.corner.image, body, changes));
  expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
  return subject;
}

async function succeed(subject: Subject, asked: { operation?: Operation | undefined }): Promise<void> {
  const outcome = await subject.outcome(asked.operation?.id);
  expect(outcome).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
}

/** Replica ids of all containers, asked of Docker behind the platform's back. */
async function containersOf({ id }: Subject): Promise<string[]> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`] };
  const containers = await docker.corner.client.listContainers({ all: true, filters });
  return containers.map(({ Labels }) => Labels[LABEL.replica] ?? '').sort();
}

describe('an operation on the whole platform', { timeout: 240_000 }, () => {
  it('scales, restarts, stops and starts without losing a request while anything is to serve', async () => {
    const subject = await aRunning('one');
    const of = { deploymentId: subject.id };
    const prober = startProber({ port: platform.httpPort, host: `${subject.name}.localhost`, perSecond: 30 });
    await succeed(subject, await api.deployments.scaleDeployment({ ...key(), ...of, replicas: 3 }));
    expect(await containersOf(subject)).toEqual(['r1-0', 'r1-1', 'r1-2']);
    await succeed(subject, await api.deployments.restartDeployment({ ...key(), ...of }));
    expect(await containersOf(subject)).toEqual(['r1-3', 'r1-4', 'r1-5']);
    await succeed(subject, await api.deployments.scaleDeployment({ ...key(), ...of, replicas: 1 }));
    expect(await containersOf(subject)).toHaveLength(1);
    const { failed, total } = await prober.stop();
    expect(failed).toEqual([]);
    expect(total).toBeGreaterThan(50);
    await succeed(subject, await api.deployments.stopDeployment({ ...key(), ...of }));
    expect(await containersOf(subject)).toEqual([]);
    expect(await subject.get()).toMatchObject({ status: DeploymentStatus.STOPPED, stopped: true });
    expect((await askThroughIngress(platform.httpPort, `${subject.name}.localhost`)).status).toBe(503);
    await succeed(subject, await api.deployments.startDeployment({ ...key(), ...of }));
    expect(await bodyOf(subject)).toBe('one');
    await subject.remove();
  });

  it('rolls back to what an older revision ran, although its name has moved since', async () => {
    const moving = `moving-${randomUUID().slice(0, 8)}:1`;
    const { client, image } = docker.corner;
    await moveTag(docker.corner, moving);
    const source = { case: 'image', value: { reference: moving } } as const;
    const subject = await aRunning('one', { source, replicas: 2 });
    const { imageDigest: first } = await subject.get();

    await moveTag(docker.corner, moving);
    await succeed(subject, { operation: await subject.update(aWebServer(image, 'two', { source })) });
    expect(await bodyOf(subject)).toBe('two');
    expect((await subject.get()).imageDigest).not.toBe(first);
    await succeed(subject, await api.deployments.rollbackDeployment({ ...key(), deploymentId: subject.id }));
    expect(await bodyOf(subject)).toBe('one');
    const { revision, servingRevision, replicas } = await subject.get();
    expect({ revision, servingRevision }).toEqual({ revision: 3, servingRevision: 3 });
    expect(replicas.map(({ imageDigest }) => imageDigest)).toEqual([first, first]);
    const { revisions } = await api.deployments.listRevisions({ deploymentId: subject.id });
    expect(revisions[0]).toMatchObject({ number: 3, copyOf: 1, imageDigests: { app: first } });
    await subject.remove();
    await client.getImage(moving).remove({ force: true });
  });

  it('is cancelled in the middle, and the old revision serves with nothing left of the new one', async () => {
    const subject = await aRunning('old', { replicas: 2 });
    const slow = { command: ['/bin/sh', '-c', 'exec sleep 600'], replicas: 2 };
    const { id: operationId } = await subject.update(aWebServer(docker.corner.image, 'new', slow));
    await eventually(async () => expect(await containersOf(subject)).toHaveLength(3));
    await api.operations.cancelOperation({ ...key(), operationId });
    expect(await subject.outcome(operationId)).toMatchObject({ state: OperationState.CANCELLED });
    expect(await containersOf(subject)).toEqual(['r1-0', 'r1-1']);
    expect(await bodyOf(subject)).toBe('old');
    expect((await subject.get()).status).toBe(DeploymentStatus.RUNNING);
    await subject.remove();
  });

  it('waits for a person although every process of the control plane is killed meanwhile', async () => {
    const subject = await aRunning('old');
    const rollout = { strategy: { case: 'rolling', value: { approval: true } } } as const;
    const { id: operationId } = await subject.update(aWebServer(docker.corner.image, 'new', { rollout }));
    const stateIs = (state: OperationState) =>
      eventually(async () => expect((await api.operations.getOperation({ operationId })).operation?.state).toBe(state));
    await stateIs(OperationState.WAITING);
    expect(await bodyOf(subject)).toBe('old');
    for (const name of ['orchestrator', 'api', 'temporal']) {
      const killed = await pidOf(platform, name);
      process.kill(killed, 'SIGKILL');
      await eventually(async () => expect(await pidOf(platform, name)).not.toBe(killed));
    }
    await stateIs(OperationState.WAITING);
    await eventually(() => api.operations.approveOperation({ ...key(), operationId }));
    await succeed(subject, { operation: (await subject.get()).operation });
    expect(await bodyOf(subject)).toBe('new');
    await subject.remove();
  });

  it('moves requests over by shares, and takes a revision back whose answers are bad', async () => {
    const subject = await aRunning('good', { replicas: 2 });
    const prober = startProber({ port: platform.httpPort, host: `${subject.name}.localhost`, perSecond: 40 });
    const value = { watch: { seconds: 2n }, maxErrorPercent: 10, minRequests: 5 };
    const rollout = create(RolloutPolicySchema, {
      strategy: { case: 'canary', value: { steps: [{ weightPercent: 30, gate: { case: 'errors', value } }] } },
    });
    await succeed(subject, {
      operation: await subject.update(aWebServer(docker.corner.image, 'better', { replicas: 2, rollout })),
    });
    expect(await bodyOf(subject)).toBe('better');
    const answers = prober.probes.map(({ body }) => body.trim());
    expect(answers.filter((body) => body === 'good').length).toBeGreaterThan(0);
    const { failed } = await prober.stop();
    expect(failed).toEqual([]);

    const errors = startProber({ port: platform.httpPort, host: `${subject.name}.localhost`, perSecond: 40 });
    const answer = 'HTTP/1.1 500 Internal Server Error\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nbad\\n';
    const command = ['/bin/sh', '-c', `while :; do printf '${answer}' | nc -l -p 8080; done`];
    const healthCheck = { kind: { case: 'none', value: {} } } as const;
    const bad = aWebServer(docker.corner.image, 'bad', { replicas: 2, rollout, command, healthCheck });
    const outcome = await subject.outcome((await subject.update(bad)).id);
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'CANARY_REFUSED' });
    await errors.stop();
    expect(await bodyOf(subject)).toBe('better');
    expect(await containersOf(subject)).toEqual(['r2-0', 'r2-1']);
    await subject.remove();
  });

  it('is told step by step, also by the command', async () => {
    const subject = await aRunning('one');
    const scaled = await obiente(platform, 'scale', subject.name, '2', '-m', 'more visitors');
    expect(scaled).toMatchObject({ code: 0, stdout: `${subject.name} runs with 2 replicas\n` });
    const history = await obiente(platform, 'history', subject.name);
    expect(history.stdout).toMatch(/scale app to 2 +succeeded .*more visitors/);
    const [newest] = JSON.parse((await obiente(platform, 'history', subject.name, '--json')).stdout) as {
      id: string;
    }[];
    const shown = await obiente(platform, 'operation', newest?.id ?? '');
    expect(shown.stdout).toMatch(/r1-1 is healthy {2}\(.*attempt 1/);
    await subject.remove();
  });
});

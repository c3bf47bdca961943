import { afterAll, describe, expect, it } from 'vitest';
import { DeploymentStatus, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { RestartPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { askThroughIngress } from '../support/http.ts';
import { openApi } from '../support/platform.ts';
import { startProber } from '../support/prober.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

const hostOf = ({ name }: { name: string }): string => `${name}.localhost`;

describe('a rollout', { timeout: 240_000 }, () => {
  it('replaces a serving revision without losing a request', async () => {
    const subject = await createSubject(api, aWebServer(docker.corner.image, 'one', { replicas: 2 }));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    const prober = startProber({ port: platform.httpPort, host: hostOf(subject), perSecond: 50 });
    const { id } = await subject.update(aWebServer(docker.corner.image, 'two', { replicas: 2 }));
    expect(await subject.outcome(id)).toMatchObject({ state: OperationState.SUCCEEDED, revision: 2 });
    const { total, failed } = await prober.stop();
    expect(failed).toEqual([]);
    expect(total).toBeGreaterThan(100);
    expect(prober.probes.at(-1)?.body).toContain('two');
    const { replicas, servingRevision } = await subject.get();
    expect(servingRevision).toBe(2);
    expect(replicas.map((replica) => replica.id).sort()).toEqual(['r2-0', 'r2-1']);
    await subject.remove();
  });

  it('keeps the old revision serving when the new one never listens, and says why', async () => {
    const subject = await createSubject(api, aWebServer(docker.corner.image, 'good'));
    await subject.outcome();
    const deaf = { command: ['/bin/sh', '-c', 'echo not listening; exec sleep 600'] };
    const gate = {
      kind: { case: 'automatic', value: {} },
      startPeriod: { seconds: 1n },
      interval: { seconds: 1n },
    } as const;
    const { id } = await subject.update(
      aWebServer(docker.corner.image, 'bad', { ...deaf, healthCheck: { ...gate, retries: 1 } }),
    );
    const outcome = await subject.outcome(id);
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'REPLICA_UNHEALTHY' });
    expect(outcome.errorMessage).toContain('not listening');
    const { status, statusReason, servingRevision, replicas } = await subject.get();
    expect({ status, servingRevision }).toEqual({ status: DeploymentStatus.RUNNING, servingRevision: 1 });
    expect(statusReason).not.toBe('');
    expect(replicas).toHaveLength(1);
    expect((await askThroughIngress(platform.httpPort, hostOf(subject))).body).toContain('good');
    await subject.remove();
  });

  it('fails at once with the exit code and the last lines when the replica crashes', async () => {
    const crash = { command: ['/bin/sh', '-c', 'echo cannot find my config; exit 3'] };
    const subject = await createSubject(
      api,
      aWebServer(docker.corner.image, 'x', { ...crash, restartPolicy: RestartPolicy.NEVER }),
    );
    const outcome = await subject.outcome();
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'REPLICA_EXITED' });
    expect(outcome.errorMessage).toMatch(/cannot find my config/);
    expect(outcome.errorMessage).toMatch(/\b3\b/);
    expect((await subject.get()).status).toBe(DeploymentStatus.FAILED);
    await subject.remove();
  });

  it("fails with the registry's answer when the image cannot be had, and leaves the old revision serving", async () => {
    const subject = await createSubject(api, aWebServer(docker.corner.image, 'good'));
    await subject.outcome();
    const source = { case: 'image', value: { reference: 'registry.invalid/nobody/nothing:1' } } as const;
    const { id } = await subject.update(aWebServer(docker.corner.image, 'x', { source }));
    expect(await subject.outcome(id)).toMatchObject({ state: OperationState.FAILED, errorCode: 'IMAGE_UNAVAILABLE' });
    expect((await askThroughIngress(platform.httpPort, hostOf(subject))).body).toContain('good');
    await subject.remove();
  });

  it('refuses what no node has room for, naming what is free', async () => {
    const { memoryBytes = 0n } = (await api.nodes.listNodes({})).nodes[0] ?? {};
    const limits = { cpuCores: 0.1, memoryBytes: (memoryBytes * 2n) / 3n };
    const subject = await createSubject(api, aWebServer(docker.corner.image, 'x', { replicas: 2, limits }));
    const outcome = await subject.outcome();
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'INSUFFICIENT_CAPACITY' });
    expect(outcome.errorMessage).toMatch(/free/);
    await subject.remove();
  });

  it('passes every byte of a variable into the container', async () => {
    const value = `$HOME "quoted" 'single' \\ back # hash`;
    const subject = await createSubject(api, aWebServer(docker.corner.image, value));
    await subject.outcome();
    expect((await askThroughIngress(platform.httpPort, hostOf(subject))).body).toBe(`${value}\n`);
    await subject.remove();
  });
});

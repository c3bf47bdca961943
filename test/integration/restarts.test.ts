import { timestampDate } from '@bufbuild/protobuf/wkt';
import { afterAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import {
  DeploymentStatus,
  OperationKind,
  OperationState,
  type Replica,
  ReplicaState,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { tarOf } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject, type SpecInit, type Subject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

/** Told within 5 s of an exit where nothing else loads the machine; only a hang takes longer than this. */
const TOLD_WITHIN = { patienceMs: 30_000 };

/** A comparison each 30 s, two looks, and a start. */
const REPLACED_WITHIN = { patienceMs: 90_000 };

/** A web server that exits with 3 as soon as its container has a file `/broken`, and as long as it has no `/mended`. */
function aFragileServer(changes: SpecInit = {}): SpecInit {
  const isBroken = '[ -e /broken ] && [ ! -e /mended ]';
  const serve = 'mkdir -p /tmp/www && echo "$BODY" > /tmp/www/index.html && httpd -p 8080 -h /tmp/www';
  const script = `if ${isBroken}; then exit 3; fi; ${serve}; until ${isBroken}; do sleep 0.2; done; exit 3`;
  const interval = { seconds: 0n, nanos: 500_000_000 };
  const healthCheck = { kind: { case: 'automatic', value: {} }, interval } as const;
  const command = ['/bin/sh', '-c', script];
  return aWebServer(docker.corner.image, 'still here', { command, healthCheck, ...changes });
}

async function replicaOf(subject: Subject, id: string): Promise<Replica> {
  const found = (await subject.get()).replicas.find((replica) => replica.id === id);
  if (!found) throw new Error(`${id} is not there`);
  return found;
}

async function containerOf(subject: Subject, replicaId: string) {
  const filters = { label: [`${LABEL.deploymentId}=${subject.id}`, `${LABEL.replica}=${replicaId}`] };
  const [found] = await docker.corner.client.listContainers({ all: true, filters });
  if (!found) throw new Error(`${replicaId} has no container`);
  return docker.corner.client.getContainer(found.Id);
}

async function put(subject: Subject, replicaId: string, file: string): Promise<void> {
  const container = await containerOf(subject, replicaId);
  await container.putArchive(tarOf({ [file]: 'x' }), { path: '/' });
}

/** Kinds of the events of one replica so far, in order. */
async function eventsOf({ id: deploymentId }: Subject, replicaId: string): Promise<string[]> {
  const kinds: string[] = [];
  for await (const { event, deployment } of api.deployments.watchDeployment({ deploymentId, afterSequence: 0n })) {
    if (event?.replicaId === replicaId) kinds.push(event.kind);
    if (deployment) return kinds;
  }
  return kinds;
}

describe('a replica that begins to crash after it was healthy', { timeout: 240_000 }, () => {
  it('is told with its code, backs off over a kill of its node, and serves again once the cause is gone', async () => {
    const subject = await createSubject(api, aFragileServer({ replicas: 2 }));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    await put(subject, 'r1-0', 'broken');
    await eventually(async () => {
      const { status, statusReason } = await subject.get();
      expect(status).toBe(DeploymentStatus.DEGRADED);
      expect(statusReason).toMatch(/^1 of 2 replicas is healthy; r1-0 exited with code 3/);
    }, TOLD_WITHIN);
    await eventually(async () => {
      const answer = await askThroughIngress(platform.httpPort, `${subject.name}.localhost`);
      expect(answer).toMatchObject({ status: 200, body: 'still here\n' });
    });

    const before = await eventually(async () => {
      const { replicas, statusReason } = await subject.get();
      expect(statusReason).toMatch(/r1-0 exited with code 3, \d+ restarts, next try in \d+ s$/);
      const [replica] = replicas;
      expect(replica).toMatchObject({ state: ReplicaState.EXITED, exitCode: 3, outOfMemory: false, gone: false });
      if (!replica?.nextRestartAt) throw new Error('nobody is going to restart it');
      expect(replica.restarts).toBeGreaterThanOrEqual(3);
      expect(timestampDate(replica.nextRestartAt).getTime()).toBeGreaterThan(Date.now());
      return replica;
    });
    const { HostConfig: host } = await (await containerOf(subject, 'r1-0')).inspect();
    expect(host.RestartPolicy?.Name).toBe('no');

    const killed = await pidOf(platform, 'node');
    process.kill(killed, 'SIGKILL');
    await eventually(async () => expect(await pidOf(platform, 'node')).not.toBe(killed));
    const after = await eventually(async () => {
      const replica = await replicaOf(subject, 'r1-0');
      expect(replica.restarts).toBeGreaterThan(before.restarts);
      return replica;
    });
    expect(after.restarts).toBeLessThanOrEqual(before.restarts + 2);

    await put(subject, 'r1-0', 'mended');
    await eventually(async () => {
      const deployment = await subject.get();
      expect(deployment).toMatchObject({ status: DeploymentStatus.RUNNING, statusReason: '' });
    });
    const mended = await replicaOf(subject, 'r1-0');
    expect(mended).toMatchObject({ state: ReplicaState.HEALTHY, exitCode: 3 });
    expect(mended.nextRestartAt).toBeUndefined();
    const kinds = await eventsOf(subject, 'r1-0');
    expect(kinds).toEqual(expect.arrayContaining(['replica.exited', 'replica.restarted']));
    expect(kinds.length).toBeLessThanOrEqual(3 * (Math.floor(Math.log2(mended.restarts)) + 2));
    await subject.remove();
  });

  it('makes its deployment fail where it is the only one, for people to see why', async () => {
    const subject = await createSubject(api, aFragileServer());
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    await put(subject, 'r1-0', 'broken');
    await eventually(async () => {
      const { status, statusReason } = await subject.get();
      expect(status).toBe(DeploymentStatus.FAILED);
      expect(statusReason).toMatch(/^0 of 1 replica is healthy; r1-0 exited with code 3/);
    }, TOLD_WITHIN);
    const { stdout } = await obiente(platform, 'status', subject.name);
    expect(stdout).toMatch(/status +failed, 0 of 1 replica is healthy; r1-0 /);
    expect(stdout).toMatch(/r1-0 .* \d+ +3 +(in \d+ s|now|-)/);
    await subject.remove();
  });
});

describe('a container that somebody removes', { timeout: 240_000 }, () => {
  it('is told to be gone, and replaced without anybody asking', async () => {
    const subject = await createSubject(api, aFragileServer({ replicas: 2 }));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    await (await containerOf(subject, 'r1-1')).remove({ force: true, v: true });
    await eventually(async () => {
      const { status, statusReason } = await subject.get();
      expect(status).toBe(DeploymentStatus.DEGRADED);
      expect(statusReason).toBe('1 of 2 replicas is healthy; r1-1 is gone: its container was removed');
    }, TOLD_WITHIN);
    expect(await replicaOf(subject, 'r1-1')).toMatchObject({ state: ReplicaState.EXITED, gone: true });
    await eventually(async () => {
      const { status, operation, replicas } = await subject.get();
      expect([status, operation?.kind]).toEqual([DeploymentStatus.RUNNING, OperationKind.HEAL]);
      expect(replicas.map(({ id }) => id)).toEqual(['r1-0', 'r1-2']);
    }, REPLACED_WITHIN);
    await subject.remove();
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DomainError } from '../../domain/errors.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../../test/support/docker.ts';
import { createReplicaStarter } from '../../test/support/replicas.ts';
import { createDocker, type Docker } from './docker.ts';

let test: TestDocker;
let docker: Docker;
let mayChange = true;

beforeAll(async () => {
  test = await openTestDocker();
  docker = createDocker({
    ...{ socketPath: DOCKER_SOCKET, instance: test.instance, nodeAddress: '127.0.0.1', requestTimeoutMs: 30_000 },
    beforeChange: () => {
      if (!mayChange) throw new DomainError('NODE_LEASE_LOST', 'no lease');
    },
  });
});
afterAll(() => test?.remove());

it('a daemon is looked at and not changed by who may change nothing, whatever the call', async () => {
  const startReplica = await createReplicaStarter({ ...test, docker });
  const id = await startReplica();
  mayChange = false;
  expect(await docker.findContainer(id)).toMatchObject({ status: 'running' });
  expect(await docker.listContainerIds()).toEqual([id]);
  expect(await docker.checkHealth()).toMatchObject({ kind: 'healthy' });
  const name = `obiente-${test.instance}-x`;
  const wanted = { kind: 'reference', reference: 'busybox:none', digest: null } as const;
  const changes: readonly (() => Promise<unknown>)[] = [
    () => startReplica(),
    () => docker.startContainer(id),
    () => docker.stopContainer(id, 0),
    () => docker.removeContainer(id),
    () => docker.setRestartPolicy(id, 'never'),
    () => docker.ensureNetwork({ name, labels: {} }),
    () => docker.ensureVolume({ name, labels: {} }),
    () => docker.removeVolume(name),
    () => docker.ensureImage(wanted, { deploymentId: randomUUID() }),
  ];
  for (const change of changes) await expect(change()).rejects.toMatchObject({ code: 'NODE_LEASE_LOST' });
  expect(await docker.findContainer(id)).toMatchObject({ id, status: 'running', daemonPolicy: 'always' });
  mayChange = true;
  await docker.removeContainer(id);
  expect(await docker.findContainer(id)).toBeUndefined();
});

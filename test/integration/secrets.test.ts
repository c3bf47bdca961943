import { randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { toJsonString } from '@bufbuild/protobuf';
import { afterAll, describe, expect, it } from 'vitest';
import { DeploymentSchema, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { RestartPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { filesThatHold } from '../support/files-that-hold.ts';
import { gitHubPush } from '../support/github-push.ts';
import { openApi } from '../support/platform.ts';
import { REGISTRY_USERS, startTestRegistry } from '../support/registry.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject } from './deployed.ts';
import { fromGit, useGitServer } from './git-repositories.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
const git = useGitServer(platform, docker);
afterAll(() => api.close());

describe('values of variables', { timeout: 180_000 }, () => {
  it('stand in no history, database, log, snapshot or answer, whether the deploy succeeds or fails', async () => {
    const canary = `canary-${randomBytes(12).toString('hex')}`;
    const environment = [
      { name: 'BODY', value: 'hello' },
      { name: 'CANARY', value: canary },
    ];
    const served = await createSubject(api, aWebServer(docker.corner.image, '', { environment }));
    expect(await served.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    const tellTale = {
      command: ['/bin/sh', '-c', 'echo "my secret is $CANARY"; exit 1'],
      restartPolicy: RestartPolicy.NEVER,
    };
    const failed = await createSubject(api, aWebServer(docker.corner.image, '', { environment, ...tellTale }));
    const outcome = await failed.outcome();
    expect(outcome).toMatchObject({ state: OperationState.FAILED });

    expect(outcome.errorMessage).not.toContain(canary);
    expect(toJsonString(DeploymentSchema, await served.get())).not.toContain(canary);
    // Databases with their logs, process logs, snapshots, keys.
    expect(await filesThatHold(platform.stateDir, canary)).toEqual([]);
    expect(await filesThatHold(platform.stateDir, platform.instance)).not.toEqual([]);
    await served.remove();
    await failed.remove();
  });
});

describe('passwords for registries', { timeout: 180_000 }, () => {
  it('stand in no history, database, log, snapshot or answer, whether the pull succeeds or fails', async () => {
    const { client, image } = docker.corner;
    const registry = await startTestRegistry({ authenticated: true, port: platform.registryPorts[0] ?? 0 });
    const name = `acme/secret-${randomUUID().slice(0, 8)}:latest`;
    await registry.push(client, image, { name, mark: 'secret' });
    const spec = aWebServer(`${registry.host}/${name}`, 'hello');
    const organizationId = (await api.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
    const { username, password } = REGISTRY_USERS.alice;
    const wrong = `canary-${randomBytes(12).toString('hex')}`;
    const answers: unknown[] = [];
    const store = async (given: string): Promise<void> => {
      const credential = { host: registry.host, username, password: given };
      const request = { idempotencyKey: randomUUID(), organizationId, ...credential };
      answers.push(await api.registries.setRegistryCredential(request));
    };
    await store(wrong);
    const subject = await createSubject(api, spec);
    const refused = await subject.outcome();
    expect(refused).toMatchObject({ state: OperationState.FAILED, errorCode: 'IMAGE_UNAVAILABLE' });
    await store(password);
    const given = await subject.outcome((await subject.update(spec)).id);
    expect(given).toMatchObject({ state: OperationState.SUCCEEDED });
    answers.push(refused, given, await subject.get(), await api.registries.listRegistryCredentials({ organizationId }));

    const asSent = (secret: string) => Buffer.from(`${username}:${secret}`).toString('base64');
    for (const secret of [wrong, password, asSent(wrong), asSent(password)]) {
      expect(inspect(answers, { depth: 10 })).not.toContain(secret);
      expect(await filesThatHold(platform.stateDir, secret)).toEqual([]);
    }
    expect(await filesThatHold(platform.stateDir, registry.host)).not.toEqual([]);
    await api.registries.deleteRegistryCredential({
      idempotencyKey: randomUUID(),
      organizationId,
      host: registry.host,
    });
    await subject.remove();
    await registry.remove(client);
  });
});

describe('secrets of repositories and webhooks', { timeout: 180_000 }, () => {
  it('stand in no history, database, log, snapshot or answer, whether the build succeeds or fails', async () => {
    const repository = git.repository();
    repository.push('secret');
    const username = 'robot';
    const [wrong, password] = [1, 2].map(() => `canary-${randomBytes(12).toString('hex')}`) as [string, string];
    git.server().behaviour = { login: { username, password } };
    const organizationId = (await api.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
    const target = repository.url;
    const answers: unknown[] = [];
    const store = async (given: string): Promise<void> => {
      const secret = { case: 'https', value: { username, password: given } } as const;
      answers.push(await api.git.setGitCredential({ idempotencyKey: randomUUID(), organizationId, target, secret }));
    };
    await store(wrong);
    const subject = await createSubject(api, fromGit(repository.url, { ref: 'main' }));
    const refused = await subject.outcome();
    expect(refused).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
    await store(password);
    const hook = await api.webhooks.createWebhook({ idempotencyKey: randomUUID(), deploymentId: subject.id });
    const { secret } = hook;
    const pushed = gitHubPush({ secret, url: repository.url });
    const url = `${platform.apiUrl}${hook.webhook?.path}`;
    expect((await fetch(url, gitHubPush({ secret: 'guessed', url: repository.url }))).status).toBe(401);
    const delivered = await fetch(url, pushed);
    expect(delivered.status).toBe(202);
    const { operationId } = (await delivered.json()) as { operationId: string };
    expect(await subject.outcome(operationId)).toMatchObject({ state: OperationState.SUCCEEDED });
    answers.push(refused, await subject.get(), await api.git.listGitCredentials({ organizationId }));
    answers.push(await api.webhooks.getWebhook({ deploymentId: subject.id }));
    git.server().behaviour = {};

    const asSent = (given: string) => Buffer.from(`${username}:${given}`).toString('base64');
    const signature = pushed.headers['x-hub-signature-256'].slice('sha256='.length);
    for (const canary of [wrong, password, asSent(wrong), asSent(password), secret, signature]) {
      expect(inspect(answers, { depth: 10 })).not.toContain(canary);
      expect(await filesThatHold(platform.stateDir, canary)).toEqual([]);
    }
    expect(await filesThatHold(platform.stateDir, repository.name)).not.toEqual([]);
    await api.git.deleteGitCredential({ idempotencyKey: randomUUID(), organizationId, target });
    await subject.remove();
  });
});

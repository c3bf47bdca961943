import { randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { toJsonString } from '@bufbuild/protobuf';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { DeploymentSchema, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { RestartPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { filesThatHold } from '../support/files-that-hold.ts';
import { openApi } from '../support/platform.ts';
import { REGISTRY_USERS, startTestRegistry } from '../support/registry.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject } from './deployed.ts';

const platform = inject('platform');
const api = openApi(platform);
const docker = useTestDocker();
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

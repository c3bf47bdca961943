import { randomBytes } from 'node:crypto';
import { toJsonString } from '@bufbuild/protobuf';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { DeploymentSchema, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { RestartPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { filesThatHold } from '../support/files-that-hold.ts';
import { openApi } from '../support/platform.ts';
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

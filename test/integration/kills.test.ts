import { afterAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { openApi, pidOf } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

const PROCESSES = ['api', 'orchestrator', 'node', 'streamer', 'temporal', 'postgres', 'traefik'];
const REPLICAS = 3;

describe('a deploy', { timeout: 240_000 }, () => {
  it.each(PROCESSES)('ends with exactly the wanted replicas when %s is killed in the middle of it', async (name) => {
    const subject = await createSubject(api, aWebServer(docker.corner.image, name, { replicas: REPLICAS }));
    const killed = await pidOf(platform, name);
    process.kill(killed, 'SIGKILL');

    const outcome = await subject.outcome();
    expect(outcome).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    expect(await runningReplicas(subject.id)).toEqual(['r1-0', 'r1-1', 'r1-2']);
    await eventually(async () => expect(await pidOf(platform, name)).not.toBe(killed));
    await eventually(async () => {
      const answer = await askThroughIngress(platform.httpPort, `${subject.name}.localhost`);
      expect(answer).toMatchObject({ status: 200, body: `${name}\n` });
    });
    await subject.remove();
  });
});

/** Replica ids of the containers that really run, asked of Docker behind the platform's back. */
async function runningReplicas(deploymentId: string): Promise<string[]> {
  const filters = { label: [`${LABEL.deploymentId}=${deploymentId}`] };
  const containers = await docker.corner.client.listContainers({ all: true, filters });
  expect(containers.every(({ State }) => State === 'running')).toBe(true);
  return containers.map(({ Labels }) => Labels[LABEL.replica] ?? '').sort();
}

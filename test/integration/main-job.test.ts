import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { afterAll, describe, expect, it } from 'vitest';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { LABEL } from '../../domain/naming.ts';
import { openTestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi } from '../support/platform.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
afterAll(() => api.close());

interface DeployedJson {
  id: string;
  name: string;
  status: string;
  url: string;
}

describe('the main job', { timeout: 180_000 }, () => {
  it('deploys an example, serves it, measures it, logs it, and removes it without a trace', async () => {
    const name = `hello-${randomUUID().slice(0, 8)}`;
    const deployed = await obiente(platform, 'deploy', 'examples/hello', '--name', name, '--json');
    expect(deployed.stderr + deployed.stdout).toContain(name);
    expect(deployed.code).toBe(0);
    const { id, url } = JSON.parse(deployed.stdout) as DeployedJson;
    expect(url).toBe(`http://${name}.localhost:${platform.httpPort}`);

    const answer = await askThroughIngress(platform.httpPort, `${name}.localhost`);
    expect(answer.status).toBe(200);
    expect(answer.body).toContain('r1-0');

    const samples = await firstSamples(id, 2);
    expect(samples[0]?.memoryBytes).toBeGreaterThan(0n);
    expect(Number(samples[1]?.at?.seconds ?? 0)).toBeGreaterThan(Number(samples[0]?.at?.seconds ?? 0));

    const logs = await obiente(platform, 'logs', name);
    expect(logs.code).toBe(0);

    const connection = await Connection.connect({ address: platform.temporalAddress });
    const workflow = new Client({ connection }).workflow.getHandle(deploymentWorkflowId(id));
    expect((await workflow.describe()).status.name).toBe('RUNNING');

    const removed = await obiente(platform, 'rm', name);
    expect(removed.stderr + removed.stdout).not.toContain('error');
    expect(removed.code).toBe(0);
    await eventually(async () => expect((await workflow.describe()).status.name).toBe('COMPLETED'));
    await connection.close();
    expect((await askThroughIngress(platform.httpPort, `${name}.localhost`)).status).toBe(404);
    await expectNothingOf(id);
  });
});

async function firstSamples(deploymentId: string, count: number) {
  const found = [];
  const signal = AbortSignal.timeout(60_000);
  for await (const { samples } of api.metrics.streamMetrics({ deploymentId }, { signal })) {
    found.push(...samples);
    if (found.length >= count) return found;
  }
  return found;
}

async function expectNothingOf(deploymentId: string): Promise<void> {
  const corner = await openTestDocker();
  const filters = { label: [`${LABEL.deploymentId}=${deploymentId}`] };
  expect(await corner.client.listContainers({ all: true, filters })).toEqual([]);
  expect(await corner.client.listImages({ filters })).toEqual([]);
  expect(await corner.client.listNetworks({ filters: { label: [`${LABEL.instance}=${platform.instance}`] } })).toEqual(
    [],
  );
  await corner.remove();
}

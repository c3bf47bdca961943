import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Api } from '../cli/client.ts';
import { LABEL, networkName } from '../domain/naming.ts';
import type { DeploymentSpecSchema } from '../gen/obiente/cloud/v1/spec_pb.ts';
import { openTestDocker, type TestDocker } from '../test/support/docker.ts';
import { eventually } from '../test/support/eventually.ts';
import { openApi, startTestPlatform } from '../test/support/platform.ts';
import { againstFloor, type Bench, type Figure, percentile } from './figure.ts';

const PAIRS = 40;
const WARM_UP = 3;

/** Ratios that are aimed at, on a Temporal server as it is shipped. */
const GOAL_P50 = 1.6;

/**
 * From the API call to Docker's own event that the replica runs, against bare create + start + inspect of the same
 * image on the same network, one after the other in the same run. No health gate, no route.
 */
export const bench: Bench = {
  name: 'deploy',
  about: 'API call to replica running, against bare Docker create + start + inspect',
  run: async () => {
    const platform = await startTestPlatform();
    const docker = await openTestDocker();
    const api = openApi(platform);
    try {
      return toFigures(await measure({ api, docker, instance: platform.instance }));
    } finally {
      api.close();
      await platform.stop();
      await docker.remove();
    }
  },
};

interface Samples {
  readonly deploy: number[];
  readonly answer: number[];
  readonly bare: number[];
}

interface Bed {
  readonly api: Api;
  readonly docker: TestDocker;
  readonly instance: string;
}

async function measure({ api, docker, instance }: Bed): Promise<Samples> {
  const { memberships } = await api.identity.whoAmI({});
  const organizationId = memberships[0]?.organizationId ?? '';
  const { projects } = await api.projects.listProjects({ organizationId });
  const projectId = projects[0]?.id ?? '';
  const starts = await followStarts(docker, instance);
  const keeper = await deployOnce(api, { projectId, image: docker.image, starts });
  const samples: Samples = { deploy: [], answer: [], bare: [] };
  for (let pair = -WARM_UP; pair < PAIRS; pair += 1) {
    const bareMs = await bareStart(docker, networkName(instance, projectId));
    const deployed = await deployOnce(api, { projectId, image: docker.image, starts });
    await removeAndWait(api, deployed.deploymentId);
    if (pair < 0) continue;
    samples.bare.push(bareMs);
    samples.deploy.push(deployed.runningMs);
    samples.answer.push(deployed.answerMs);
  }
  await removeAndWait(api, keeper.deploymentId);
  starts.close();
  return samples;
}

/** Remembers the moment at which Docker said that a deployment's container had started. */
async function followStarts({ client }: TestDocker, instance: string) {
  const startedAt = new Map<string, number>();
  const waiting = new Map<string, (at: number) => void>();
  const filters = { type: ['container'], event: ['start'], label: [`${LABEL.instance}=${instance}`] };
  const stream = (await client.getEvents({ filters: JSON.stringify(filters) })) as unknown as Readable;
  createInterface({ input: stream }).on('line', (line) => {
    const event = JSON.parse(line) as { Actor: { Attributes: Record<string, string> } };
    const deploymentId = event.Actor.Attributes[LABEL.deploymentId] ?? '';
    const at = performance.now();
    startedAt.set(deploymentId, at);
    waiting.get(deploymentId)?.(at);
  });
  const untilStarted = (deploymentId: string): Promise<number> => {
    const known = startedAt.get(deploymentId);
    return known === undefined ? new Promise((resolve) => waiting.set(deploymentId, resolve)) : Promise.resolve(known);
  };
  return { untilStarted, close: () => stream.destroy() };
}

async function deployOnce(
  api: Api,
  wanted: { projectId: string; image: string; starts: Awaited<ReturnType<typeof followStarts>> },
): Promise<{ deploymentId: string; runningMs: number; answerMs: number }> {
  const spec: MessageInitShape<typeof DeploymentSpecSchema> = {
    source: { case: 'image', value: { reference: wanted.image } },
    command: ['/bin/busybox', 'sleep', '3600'],
    healthCheck: { kind: { case: 'none', value: {} } },
    limits: { cpuCores: 0.1, memoryBytes: 16n * 1024n * 1024n },
  };
  const request = { projectId: wanted.projectId, name: `bench-${randomUUID().slice(0, 8)}`, spec };
  const begun = performance.now();
  const { deployment } = await api.deployments.createDeployment({ idempotencyKey: randomUUID(), ...request });
  const answerMs = performance.now() - begun;
  const deploymentId = deployment?.id ?? '';
  const runningMs = (await wanted.starts.untilStarted(deploymentId)) - begun;
  return { deploymentId, runningMs, answerMs };
}

async function bareStart({ client, image }: TestDocker, network: string): Promise<number> {
  const begun = performance.now();
  const container = await client.createContainer({
    name: `bench-${randomUUID()}`,
    Image: image,
    Cmd: ['/bin/busybox', 'sleep', '3600'],
    HostConfig: { NetworkMode: network },
  });
  await container.start();
  await container.inspect();
  const tookMs = performance.now() - begun;
  await container.remove({ force: true });
  return tookMs;
}

async function removeAndWait(api: Api, deploymentId: string): Promise<void> {
  await api.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId });
  await eventually(async () => {
    const gone = await api.deployments.getDeployment({ deploymentId }).then(
      () => false,
      () => true,
    );
    if (!gone) throw new Error('the deployment is still there');
  });
}

function toFigures({ deploy, answer, bare }: Samples): Figure[] {
  const floor50 = percentile(bare, 0.5);
  const floor95 = percentile(bare, 0.95);
  return [
    againstFloor({ name: 'running p50', value: percentile(deploy, 0.5), floor: floor50, maxRatio: GOAL_P50 }),
    againstFloor({ name: 'running p95', value: percentile(deploy, 0.95), floor: floor95, maxRatio: null }),
    againstFloor({ name: 'answer p50', value: percentile(answer, 0.5), floor: floor50, maxRatio: null }),
  ];
}

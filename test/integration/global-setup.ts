import Dockerode from 'dockerode';
import type { TestProject } from 'vitest/node';
import { LABEL } from '../../domain/naming.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { startTestPlatform } from '../support/platform.ts';
import './platforms.ts';

/** Starts a platform for each worker of this folder, and fails the run when the tests leave anything on Docker. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const starting = await Promise.allSettled(
    Array.from({ length: Number(project.config.maxWorkers) }, () => startTestPlatform()),
  );
  const platforms = starting.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = starting.find(({ status }) => status === 'rejected');
  if (failed) {
    await Promise.all(platforms.map(({ stop }) => stop()));
    throw (failed as PromiseRejectedResult).reason;
  }
  project.provide(
    'platforms',
    platforms.map(({ stop: _, ...facts }) => facts),
  );
  return async () => {
    const left = (await Promise.all(platforms.map(({ instance }) => leftovers(instance)))).flat();
    await Promise.all(platforms.map(({ stop }) => stop()));
    if (left.length > 0) throw new Error(`the tests left behind: ${left.join(', ')}`);
  };
}

/** Everything on Docker that carries the instance's label; removed, so that one bad run does not spoil the next. */
async function leftovers(instance: string): Promise<string[]> {
  const client = new Dockerode({ socketPath: DOCKER_SOCKET });
  const filters = { label: [`${LABEL.instance}=${instance}`] };
  const containers = await client.listContainers({ all: true, filters });
  for (const { Id } of containers) await client.getContainer(Id).remove({ force: true, v: true });
  const networks = await client.listNetworks({ filters });
  for (const { Id } of networks) await client.getNetwork(Id).remove();
  const { Volumes: volumes } = await client.listVolumes({ filters });
  for (const { Name } of volumes) await client.getVolume(Name).remove();
  const images = await client.listImages({ filters });
  for (const { Id } of images) await client.getImage(Id).remove({ force: true });
  return [
    ...containers.map(({ Names }) => `container ${Names[0]}`),
    ...networks.map(({ Name }) => `network ${Name}`),
    ...volumes.map(({ Name }) => `volume ${Name}`),
    ...images.map(({ RepoTags }) => `image ${RepoTags?.[0]}`),
  ];
}

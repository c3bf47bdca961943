import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { createSampler } from '../../streamer/sampler.ts';
import { DOCKER_SOCKET, type TestDocker } from '../../test/support/docker.ts';
import { startReplica } from '../../test/support/metered.ts';
import { kernelCpuPercent, recordKernel } from '../kernel.ts';
import type { Containers } from './containers.ts';
import { slope } from './rounds.ts';

const BUSY = ['sh', '-c', 'while :; do :; done'];
const LIMITS = [0.02, 0.05, 0.1, 0.2, 0.4];
const EVERY_MS = 2_000;
const DEADLINE_MS = 10_000;

/** How what is shown of containers under different load grows with what the kernel counted for them: 1 when it is that. */
export async function measureCpuSlope(corner: TestDocker): Promise<number> {
  const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 60_000 });
  const { findMetered } = createDockerMeteredContainers(connection, corner.instance);
  const containers: Containers = new Map();
  for (const [index, cpuCores] of LIMITS.entries()) {
    const id = await startReplica(corner, { replicaId: `r2-${index}`, command: BUSY, cpuCores });
    const found = await findMetered(id);
    if (found) containers.set(id, found);
  }
  const recorders = [...containers.values()].map((one) => ({ id: one.id, recorder: recordKernel(one) }));
  const sampler = createSampler({ source: createCgroupSource(), maxWorkers: 50 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const first = await sampler.readRound(containers, DEADLINE_MS);
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  const second = await sampler.readRound(containers, DEADLINE_MS);
  // The recorders have to come by once more.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  sampler.close();
  for (const { recorder } of recorders) recorder.stop();
  const points = recorders.map(({ id, recorder }): [number, number] => {
    const [from, to] = [first, second].map(({ samples }) => samples.find(({ containerId }) => containerId === id));
    if (!from || to?.cpuPercent == null) throw new Error('a busy container was not read');
    return [kernelCpuPercent(recorder.readings, from.atMs, to.atMs), to.cpuPercent];
  });
  for (const id of containers.keys()) await corner.client.getContainer(id).remove({ force: true });
  return slope(points);
}

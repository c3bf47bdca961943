import { setTimeout as delay } from 'node:timers/promises';
import { copyImage } from '../../support/copy-image.ts';
import { eventually } from '../../support/eventually.ts';
import type { ExtraDocker } from '../../support/extra-docker.ts';
import type { Cluster } from '../cluster.ts';
import { startDockerOn } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { secondsOf } from '../figures.ts';
import { formSwarm, SWARM_SETTINGS } from '../form-swarm.ts';
import type { HostNetwork } from '../network.ts';

/** As many as the platform is asked for. */
const REPLICAS = 6;

const HOSTS = 3;

/** A bound that only a hang reaches. */
const PATIENCE = { patienceMs: 180_000 };

/** Swarm counts its heartbeats from the last one, which is up to 5 s old; a cut right after a join finds none. */
const SETTLED_MS = 10_000;

interface SwarmHost extends HostNetwork {
  readonly docker: ExtraDocker;
}

interface Loss {
  readonly seenMs: number;
  readonly replacedMs: number;
}

/** Cuts one worker off after the other, with the settings that Swarm has by itself. */
export const swarmNodeLost: Experiment = {
  name: 'swarm-node-lost',
  about: 'the same loss on a Docker Swarm of three hosts, beside which the platform is seen; nothing must hold',
  runs: 4,
  run: async (cluster, { runs, stack, tell }) => {
    const hosts = await openSwarm(cluster, stack);
    const workers = hosts.slice(1);
    const losses: Loss[] = [];
    for (let run = 0; run < runs; run += 1) {
      const worker = workers[run % workers.length];
      if (!worker) throw new Error('a swarm has workers');
      const loss = await loseWorker(cluster, hosts, worker);
      losses.push(loss);
      const [seen, replaced] = [loss.seenMs, loss.replacedMs].map((ms) => ms / 1000);
      tell(`${run + 1}: down ${seen?.toFixed(1)} s, replaced ${replaced?.toFixed(1)} s`);
    }
    const all = (of: keyof Loss): number[] => losses.map((loss) => loss[of]);
    return {
      runs,
      figures: [
        ...secondsOf('cut to seen down', all('seenMs'), null),
        ...secondsOf('cut to replaced, running', all('replacedMs'), null),
      ],
      breaks: [],
    };
  },
};

/** The first host manages. */
async function openSwarm({ network, nodes, image }: Cluster, stack: AsyncDisposableStack): Promise<SwarmHost[]> {
  const [source] = nodes;
  if (!source) throw new Error('a cluster has nodes');
  const hosts: SwarmHost[] = [];
  for (let index = 0; index < HOSTS; index += 1) {
    const host = await network.addHost(`swarm-${index}`);
    const docker = await startDockerOn(stack, host, { settings: SWARM_SETTINGS });
    await copyImage(image, source.docker.client, docker.client);
    hosts.push({ ...host, docker });
  }
  await formSwarm(stack, hosts, 1);
  return hosts;
}

async function loseWorker({ image }: Cluster, hosts: readonly SwarmHost[], worker: SwarmHost): Promise<Loss> {
  const others = hosts.filter((host) => host !== worker);
  const manager = hosts[0]?.docker.client;
  const service = await manager?.createService({
    Name: 'lost',
    TaskTemplate: { ContainerSpec: { Image: image, Command: ['/bin/sleep', '86400'], StopGracePeriod: 1e9 } },
    Mode: { Replicated: { Replicas: REPLICAS } },
  });
  if (!manager || !service) throw new Error('a swarm has a manager');
  const filters = { label: [`com.docker.swarm.service.id=${service.id}`] };
  const untilRunning = (on: readonly SwarmHost[], wanted: number): Promise<void> =>
    eventually(async () => {
      const lists = await Promise.all(on.map(({ docker }) => docker.client.listContainers({ filters })));
      const running = lists.flat().length;
      if (running !== wanted) throw new Error(`${running} of ${wanted} run`);
    }, PATIENCE);
  const untilWorkerIs = (state: string): Promise<void> =>
    eventually(async () => {
      const found = (await manager.listNodes()).find(({ Status }) => Status?.Addr === worker.address);
      if (found?.Status?.State !== state) throw new Error(`the worker is ${found?.Status?.State}`);
    }, PATIENCE);
  try {
    await untilWorkerIs('ready');
    await untilRunning(hosts, REPLICAS);
    await delay(SETTLED_MS);
    const cutAt = performance.now();
    await worker.unplug();
    const seen = untilWorkerIs('down').then(() => performance.now() - cutAt);
    await untilRunning(others, REPLICAS);
    const replacedMs = performance.now() - cutAt;
    return { seenMs: await seen, replacedMs };
  } finally {
    await worker.plug();
    await service.remove();
    await untilRunning(hosts, 0);
  }
}

import { deployApplication, probeApplication, untilProbes } from '../application.ts';
import { type Cluster, containersOf, untilAllAre } from '../cluster.ts';
import type { ClusterNode } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';

/** Two on each node. */
const REPLICAS = 6;

/** A node looks at its daemon every 3 s, and reads everything anew by then. */
const AFTERWARDS_PROBES = 500;

/** Ends the daemon of one node, the next one each time, and starts it again at once. */
export const dockerdKilled: Experiment = {
  name: 'dockerd-killed',
  about: 'the Docker daemon of a node is killed (-9) and started again: no container restarts, no request fails',
  runs: 6,
  run: async (cluster, { runs, tell }) => {
    await untilAllAre(cluster, 'ready');
    const subject = await deployApplication(cluster, REPLICAS);
    const prober = await probeApplication(cluster, subject);
    const answeringMs: number[] = [];
    const restarted: string[] = [];
    try {
      for (let run = 0; run < runs; run += 1) {
        const node = cluster.nodes[run % cluster.nodes.length];
        if (!node) throw new Error('a cluster has nodes');
        const before = await lifesOf(cluster, subject.id);
        const killedAt = performance.now();
        await restartDaemon(node);
        answeringMs.push(performance.now() - killedAt);
        const asked = prober.probes.length;
        await untilProbes(prober.probes, asked + AFTERWARDS_PROBES);
        await untilAllAre(cluster, 'ready');
        const after = await lifesOf(cluster, subject.id);
        restarted.push(...before.filter((life) => !after.includes(life)));
        tell(`${run + 1}: ${node.nodeId} answers again after ${((answeringMs.at(-1) ?? 0) / 1000).toFixed(1)} s`);
      }
      const breaks = await wholeDeployment(cluster, subject.id, REPLICAS);
      const { failed, total, losses } = await prober.stop();
      for (const loss of losses) tell(`    ${JSON.stringify(loss)}`);
      return {
        runs,
        figures: [
          atMost(0, { name: 'restarted containers', value: restarted.length, unit: '' }),
          atMost(0, { name: `failed requests of ${total}`, value: failed.length, unit: '' }),
          ...secondsOf('kill to the daemon answers', answeringMs, null),
        ],
        breaks,
      };
    } finally {
      await prober.stop();
      await subject.remove();
    }
  },
};

async function restartDaemon({ docker }: ClusterNode): Promise<void> {
  await docker.kill();
  await docker.start();
}

/** Each container with its process: another one after a restart. */
async function lifesOf({ nodes }: Cluster, deploymentId: string): Promise<string[]> {
  const lifes = await Promise.all(
    nodes.map(async (node) => {
      const containers = await containersOf(deploymentId, [node]);
      return await Promise.all(
        containers.map(async ({ id }) => {
          const { State, RestartCount } = await node.docker.client.getContainer(id).inspect();
          return `${id} ${State.Pid} ${State.StartedAt} ${RestartCount}`;
        }),
      );
    }),
  );
  return lifes.flat();
}

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { OperationState } from '../../../gen/obiente/cloud/v1/deployments_pb.ts';
import { eventually } from '../../support/eventually.ts';
import { deployApplication, probeApplication } from '../application.ts';
import { type Cluster, containersOf, untilAllAre, untilNodeIs } from '../cluster.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';

/** Two on each worker. */
const REPLICAS = 4;

/** Longer than two silent looks of the workers, so that they know. */
const AWAY_MS = 20_000;

/** Kills the daemon of the only manager while replicas on workers are replaced, and starts it again. */
export const managerAway: Experiment = {
  name: 'manager-away',
  about:
    'of a swarm the only manager is killed (-9) during a restart of what workers run, and returns: it is carried out',
  runs: 3,
  run: async (cluster, { runs, tell }) => {
    const [manager, worker] = cluster.nodes;
    if (!manager || !worker) throw new Error('a cluster has nodes');
    const { Swarm } = (await worker.docker.client.info()) as { Swarm: { ControlAvailable: boolean } };
    if (Swarm.ControlAvailable) {
      tell('left out: this is about a swarm with one manager (--runtime swarm --managers 1)');
      return { runs: 0, figures: [], breaks: [] };
    }
    await untilAllAre(cluster, 'ready');
    // What ran on the manager itself would end with its daemon.
    await cluster.api.nodes.cordonNode({ nodeId: manager.nodeId });
    const subject = await deployApplication(cluster, REPLICAS);
    const prober = await probeApplication(cluster, subject);
    const endedMs: number[] = [];
    const breaks: string[] = [];
    try {
      for (let run = 0; run < runs; run += 1) {
        const before = await runningIn(cluster, subject.id);
        const asked = { idempotencyKey: randomUUID(), deploymentId: subject.id };
        const { operation } = await cluster.api.deployments.restartDeployment(asked);
        await eventually(async () => {
          const now = await runningIn(cluster, subject.id);
          if (now.every((id) => before.includes(id))) throw new Error('nothing new runs yet');
        });
        await manager.docker.kill();
        await delay(AWAY_MS);
        const { operation: waiting } = await subject.get();
        if (waiting?.state === OperationState.FAILED) breaks.push(`it did not wait: ${waiting.errorMessage}`);
        await manager.docker.start();
        const returnedAt = performance.now();
        const { state, errorCode, errorMessage } = await subject.outcome(operation?.id);
        endedMs.push(performance.now() - returnedAt);
        if (state !== OperationState.SUCCEEDED) breaks.push(`it ends with ${errorCode}: ${errorMessage}`);
        breaks.push(...(await wholeDeployment(cluster, subject.id, REPLICAS)));
        for (const node of cluster.nodes.slice(1)) await untilNodeIs(cluster, node, 'ready');
        tell(`${run + 1}: carried out ${((endedMs.at(-1) ?? 0) / 1000).toFixed(1)} s after the manager's return`);
      }
      const { failed, total, losses } = await prober.stop();
      for (const loss of losses) tell(`    ${JSON.stringify(loss)}`);
      return {
        runs,
        figures: [
          ...secondsOf('return of the manager to carried out', endedMs, null),
          atMost(0, { name: `failed requests of ${total}`, value: failed.length, unit: '' }),
        ],
        breaks,
      };
    } finally {
      await prober.stop();
      await subject.remove();
      await cluster.api.nodes.uncordonNode({ nodeId: manager.nodeId });
    }
  },
};

async function runningIn(cluster: Cluster, deploymentId: string): Promise<string[]> {
  const containers = await containersOf(deploymentId, cluster.nodes);
  return containers.filter(({ running }) => running).map(({ id }) => id);
}

import { deploymentWorkflowId } from '../../../contracts/deployment.ts';
import { OperationKind, OperationState } from '../../../gen/obiente/cloud/v1/deployments_pb.ts';
import { watchContainers } from '../../faults/container-watch.ts';
import { lastEventId, readCommits } from '../../faults/history.ts';
import type { Subject } from '../../integration/deployed.ts';
import { eventually } from '../../support/eventually.ts';
import { untilNone } from '../../support/until-none.ts';
import { deployApplication } from '../application.ts';
import { type Cluster, containersOf, untilAllAre } from '../cluster.ts';
import type { ClusterNode } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';
import { killOrchestratorAt } from '../kill-at-event.ts';

/** One on each node. */
const REPLICAS = 3;

/** A bound that only a hang reaches. */
const PATIENCE = { patienceMs: 240_000 };

/** One node lost and healed. */
interface Healed {
  /** From the cut to the end of the operation. */
  readonly tookMs: number;
  /** The first event of each part in which the operation was stored, counted from its own first one. */
  readonly events: readonly number[];
  readonly breaks: readonly string[];
}

/** Cuts a node off, the next one each time; at each event of the operation that heals, the orchestrator is killed. */
export const healKilled: Experiment = {
  name: 'heal-killed',
  about:
    'a node is lost, and the orchestrator is killed at each event of the healing: replaced all the same, nothing twice',
  runs: 1,
  run: async (cluster, { runs, tell }) => {
    const breaks: string[] = [];
    const killed: number[] = [];
    const unharmed: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      const first = await healOnce(cluster, { index: run, event: null });
      unharmed.push(first.tookMs);
      breaks.push(...first.breaks);
      tell(`${run + 1}: healed ${(first.tookMs / 1000).toFixed(1)} s after the cut, in ${first.events.length} commits`);
      for (const [index, event] of first.events.entries()) {
        const healed = await healOnce(cluster, { index: run + index + 1, event });
        killed.push(healed.tookMs);
        breaks.push(...healed.breaks.map((text) => `kill at event ${event}: ${text}`));
        tell(`  kill at event ${event}: ${(healed.tookMs / 1000).toFixed(1)} s ${healed.breaks.join(', ')}`);
      }
    }
    return {
      runs,
      figures: [
        ...secondsOf('cut to healed', unharmed, null),
        ...secondsOf(`cut to healed with the orchestrator killed, ${killed.length}`, killed, 60),
        atMost(0, { name: 'losses after which a replica is missing or there twice', value: breaks.length, unit: '' }),
      ],
      breaks,
    };
  },
};

async function healOnce(
  cluster: Cluster,
  { index, event }: { readonly index: number; readonly event: number | null },
): Promise<Healed> {
  const node = cluster.nodes[index % cluster.nodes.length];
  if (!node) throw new Error('there is no such node');
  await untilAllAre(cluster, 'ready');
  const subject = await deployApplication(cluster, REPLICAS);
  const clients = cluster.nodes.map(({ docker }) => docker.client);
  const watch = await watchContainers(clients, cluster.instance);
  const workflowId = deploymentWorkflowId(subject.id);
  const ended = new AbortController();
  try {
    const before = await lastEventId(cluster.temporal, workflowId);
    const struck =
      event === null
        ? undefined
        : killOrchestratorAt(cluster, { workflowId, event: before + event, signal: ended.signal });
    const cutAt = performance.now();
    await node.cable.unplug();
    await untilHealed(subject);
    const tookMs = performance.now() - cutAt;
    ended.abort();
    await struck;
    const commits = await readCommits(cluster.temporal, workflowId);
    await node.cable.plug();
    await untilAllAre(cluster, 'ready');
    return {
      tookMs,
      events: commits.filter(({ first }) => first > before).map(({ first }) => first - before),
      breaks: [
        ...(await superseded(subject, node)),
        ...(await wholeDeployment(cluster, subject.id, REPLICAS)),
        ...watch.takeBreaks(),
      ],
    };
  } finally {
    await node.cable.plug();
    watch.close();
    await subject.remove();
  }
}

async function untilHealed(subject: Subject): Promise<void> {
  await eventually(async () => {
    const { operation } = await subject.get();
    const isHealed = operation?.kind === OperationKind.HEAL && operation.state === OperationState.SUCCEEDED;
    if (!isHealed) throw new Error(`the newest operation is ${operation?.kind}, and ${operation?.state}`);
  }, PATIENCE);
}

/** What was given up goes once its node is back. What is left, in words. */
async function superseded(subject: Subject, node: ClusterNode): Promise<string[]> {
  return await untilNone(async () => {
    const left = await containersOf(subject.id, [node]);
    return left.map(({ replica }) => `replica ${replica} is left on ${node.nodeId}`);
  });
}

import { type Operation, OperationKind, OperationState } from '../../../gen/obiente/cloud/v1/deployments_pb.ts';
import { watchContainers } from '../../faults/container-watch.ts';
import type { Subject } from '../../integration/deployed.ts';
import { eventually } from '../../support/eventually.ts';
import type { ProbeReport } from '../../support/prober.ts';
import { deployApplication, isFrom, probeApplication } from '../application.ts';
import { type Cluster, containersOf, type SeenContainer, untilAllAre, untilNodeIs } from '../cluster.ts';
import type { ClusterNode } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';

/** Two on each node. */
const REPLICAS = 6;

/** A bound that only a hang reaches. */
const PATIENCE = { patienceMs: 180_000 };

/** When the cable is plugged in again: in the midst of the operation that heals, or when the platform is done. */
type Return = 'once replaced' | 'once healed';

const RETURNS: readonly Return[] = ['once healed', 'once replaced'];

/** What one loss took, milliseconds: the first three from the cut on, the others from the cable's return on. */
interface Loss {
  readonly seenMs: number;
  readonly routedAwayMs: number;
  readonly replacedMs: number;
  readonly removedMs: number;
  readonly readyMs: number;
  readonly failedRequests: number;
  readonly breaks: readonly string[];
}

/** Cuts one node off, the next one each time, and lets it return once what was there has been replaced. */
export const nodeLost: Experiment = {
  name: 'node-lost',
  about: 'a node is cut off while its containers run on: replaced elsewhere, and nothing twice once it is back',
  runs: 10,
  run: async (cluster, { runs, tell }) => {
    const losses: Loss[] = [];
    const breaks: string[] = [];
    for (let run = 0; run < runs; run += 1) {
      const found = await loseOne(cluster, run);
      if (typeof found === 'string') breaks.push(`run ${run + 1}: ${found}`);
      else {
        losses.push(found);
        breaks.push(...found.breaks.map((text) => `run ${run + 1}: ${text}`));
      }
      tell(`${run + 1}: ${typeof found === 'string' ? found : toLine(found)}`);
    }
    const all = (of: (loss: Loss) => number): number[] => losses.map(of);
    return {
      runs,
      figures: [
        ...secondsOf(
          'cut to seen lost',
          all(({ seenMs }) => seenMs),
          20,
        ),
        ...secondsOf(
          'cut to the last failed request',
          all(({ routedAwayMs }) => routedAwayMs),
          25,
        ),
        ...secondsOf(
          'cut to replaced and healthy',
          all(({ replacedMs }) => replacedMs),
          60,
        ),
        ...secondsOf(
          'return to superseded removed',
          all(({ removedMs }) => removedMs),
          30,
        ),
        ...secondsOf(
          'return to ready',
          all(({ readyMs }) => readyMs),
          null,
        ),
        ...requestsOf(losses),
      ],
      breaks,
    };
  },
};

function requestsOf(losses: readonly Loss[]) {
  const failed = losses.map(({ failedRequests }) => failedRequests);
  return [atMost(null, { name: 'failed requests of a loss, most', value: Math.max(...failed), unit: '' })];
}

/** @returns what one loss took, or why it came to no end. */
async function loseOne(cluster: Cluster, run: number): Promise<Loss | string> {
  const returns = RETURNS[run % RETURNS.length] ?? 'once healed';
  try {
    return await loseNode(cluster, run % cluster.losable.length, returns);
  } catch (error) {
    return `came to no end, return ${returns}: ${String(error)}`;
  }
}

async function loseNode(cluster: Cluster, index: number, returns: Return): Promise<Loss> {
  const node = cluster.losable[index];
  if (!node) throw new Error('there is no such node');
  const others = cluster.nodes.filter((other) => other !== node);
  await untilAllAre(cluster, 'ready');
  const subject = await deployApplication(cluster, REPLICAS);
  const superseded = await containersOf(subject.id, [node]);
  if (superseded.length === 0) throw new Error('nothing was placed on the node that is to be lost');
  const clients = cluster.nodes.map(({ docker }) => docker.client);
  const watch = await watchContainers(clients, cluster.instance);
  const prober = await probeApplication(cluster, subject);
  try {
    const cutAt = performance.now();
    await node.cable.unplug();
    const since = (from: number): number => performance.now() - from;
    const seen = untilNodeIs(cluster, node, 'lost').then(() => since(cutAt));
    const replacedMs = await untilReplaced(cluster, subject, others).then(() => since(cutAt));
    const seenMs = await seen;
    if (returns === 'once healed') await untilHealed(subject);
    const givenUpAt = performance.now();

    const returnedAt = performance.now();
    await node.cable.plug();
    const ready = untilNodeIs(cluster, node, 'ready').then(() => since(returnedAt));
    const removedMs = await untilGone(subject, node).then(() => since(returnedAt));
    const readyMs = await ready;
    const whole = await wholeDeployment(cluster, subject.id, REPLICAS);
    const report = await prober.stop();
    const routedAwayMs = Math.max(0, ...report.failed.map(({ atMs }) => atMs - cutAt).filter((ms) => ms < replacedMs));
    const breaks = [
      ...watch.takeBreaks(),
      ...whole,
      ...failedAfter(report, givenUpAt),
      ...answersOf(
        superseded,
        prober.probes.filter(({ atMs }) => atMs > givenUpAt),
      ),
    ];
    return { seenMs, routedAwayMs, replacedMs, removedMs, readyMs, failedRequests: report.failed.length, breaks };
  } finally {
    await node.cable.plug();
    await prober.stop();
    watch.close();
    await subject.remove();
  }
}

/** Every wanted replica runs on the other nodes, is recorded as healthy, and gets requests; by Docker and by the record. */
async function untilReplaced({ db }: Cluster, { id }: Subject, others: readonly ClusterNode[]): Promise<void> {
  await eventually(async () => {
    const running = (await containersOf(id, others)).filter((container) => container.running);
    if (running.length < REPLICAS) throw new Error(`${running.length} run`);
    const recorded = await db
      .selectFrom('replicas')
      .select('container_id')
      .where('deployment_id', '=', id)
      .where('serving', '=', true)
      .where('state', '=', 'healthy')
      .where(
        'node_id',
        'in',
        others.map(({ nodeId }) => nodeId),
      )
      .execute();
    const serving = running.filter((container) => recorded.some((row) => row.container_id === container.id));
    if (serving.length !== REPLICAS) throw new Error(`${serving.length} serve`);
  }, PATIENCE);
}

/** The operation has ended: the platform has given up what was on the lost node. */
async function untilHealed(subject: Subject): Promise<void> {
  await eventually(async () => {
    const { operation } = await subject.get();
    expectHealed(operation);
  }, PATIENCE);
}

function expectHealed(operation: Operation | undefined): void {
  const isHealed = operation?.kind === OperationKind.HEAL && operation.state === OperationState.SUCCEEDED;
  if (!isHealed) throw new Error(`the newest operation is ${operation?.kind}, and ${operation?.state}`);
}

async function untilGone({ id }: Subject, node: ClusterNode): Promise<void> {
  await eventually(async () => {
    const left = await containersOf(id, [node]);
    if (left.length > 0) throw new Error(`${left.length} containers are left on ${node.nodeId}`);
  }, PATIENCE);
}

function failedAfter({ failed }: ProbeReport, givenUpAt: number): string[] {
  const late = failed.filter(({ atMs }) => atMs > givenUpAt);
  return late.length === 0 ? [] : [`I3: ${late.length} requests failed after the replicas had been replaced`];
}

/** I1: what was given up is not asked again, though it runs on. */
function answersOf(superseded: readonly SeenContainer[], probes: Parameters<typeof isFrom>[0][]): string[] {
  const found = superseded.filter(({ dockerId }) => probes.some((probe) => isFrom(probe, dockerId)));
  return found.map(({ replica, nodeId }) => `I1: replica ${replica} on ${nodeId} answered after it was given up`);
}

function toLine({ seenMs, routedAwayMs, replacedMs, removedMs, readyMs, failedRequests }: Loss): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [
    `lost ${seconds(seenMs)}, last failure ${seconds(routedAwayMs)}, replaced ${seconds(replacedMs)}`,
    `back: removed ${seconds(removedMs)}, ready ${seconds(readyMs)}; ${failedRequests} requests failed`,
  ].join('; ');
}

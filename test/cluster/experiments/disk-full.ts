import { OperationState } from '../../../gen/obiente/cloud/v1/deployments_pb.ts';
import { aWebServer, createSubject, type Subject } from '../../integration/deployed.ts';
import { eventually } from '../../support/eventually.ts';
import { deployApplication, probeApplication, SERVE, untilProbes } from '../application.ts';
import { type Cluster, untilAllAre } from '../cluster.ts';
import type { ClusterNode } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { countVerdicts } from '../invariants.ts';

/** Room for the image and a few containers. */
const DISK_BYTES = 512 * 1024 ** 2;

/** One on each node. */
const REPLICAS = 4;

/** Answers that take as long as two reconciliations: what is falsely said to be gone is said by then. */
const AFTERWARDS_PROBES = 3_500;

/** What one full disk came to. */
interface Filled {
  readonly refusesMs: number;
  readonly recoversMs: number;
  /** From the room until requests get to the replica there again. */
  readonly reachableMs: number;
  readonly failed: number;
  readonly asked: number;
  readonly saidGone: number;
  readonly breaks: readonly string[];
}

/** Fills the disk of a daemon to its last byte, and ends and starts the daemon while there is no room. */
export const diskFull: Experiment = {
  name: 'disk-full',
  about:
    'the disk of a host fills to the last byte, and its daemon is killed meanwhile: what runs there goes on, the rest goes elsewhere',
  runs: 2,
  run: async (cluster, { runs, stack, tell }) => {
    const node = await cluster.addNode(stack, { diskBytes: DISK_BYTES });
    const wider = { ...cluster, nodes: [...cluster.nodes, node] };
    const all: Filled[] = [];
    for (let run = 0; run < runs; run += 1) {
      const filled = await fillDisk(wider, node);
      all.push(filled);
      const { refusesMs, recoversMs, reachableMs, failed, asked } = filled;
      const [refuses, recovers, reachable] = [refusesMs, recoversMs, reachableMs].map(
        (ms) => `${(ms / 1000).toFixed(1)} s`,
      );
      tell(
        `${run + 1}: refuses after ${refuses}, recovers after ${recovers}, is reached after ${reachable}; ${failed} of ${asked} failed`,
      );
      for (const text of filled.breaks) tell(`    ${text}`);
    }
    await cluster.api.nodes.cordonNode({ nodeId: node.nodeId });
    const sum = (of: (filled: Filled) => number): number => all.reduce((total, filled) => total + of(filled), 0);
    return {
      runs,
      figures: [
        ...secondsOf(
          'full to takes no replicas',
          all.map(({ refusesMs }) => refusesMs),
          5,
        ),
        ...secondsOf(
          'freed to takes replicas again',
          all.map(({ recoversMs }) => recoversMs),
          60,
        ),
        ...secondsOf(
          'freed to the replica there is reached again',
          all.map(({ reachableMs }) => reachableMs),
          60,
        ),
        atMost(0, { name: 'replicas falsely said to be gone', value: sum(({ saidGone }) => saidGone), unit: '' }),
        atMost(0, {
          name: `failed requests of ${sum(({ asked }) => asked)}`,
          value: sum(({ failed }) => failed),
          unit: '',
        }),
      ],
      breaks: all.flatMap(({ breaks }, run) => breaks.map((text) => `run ${run + 1}: ${text}`)),
    };
  },
};

async function fillDisk(cluster: Cluster, node: ClusterNode): Promise<Filled> {
  await untilAllAre(cluster, 'ready');
  await untilDiskIs(cluster, node, false);
  const subject = await deployEverywhere(cluster);
  const before = await runningOf(cluster, subject);
  const prober = await probeApplication(cluster, subject);
  try {
    const filledAtWall = new Date();
    await node.docker.fillDisk();
    const filledAt = performance.now();
    await untilDiskIs(cluster, node, true);
    const refusesMs = performance.now() - filledAt;
    const refused = await deployTo(cluster, node);
    const elsewhere = await deployElsewhere(cluster, node);
    await node.docker.kill();
    await node.docker.start();
    await untilProbes(prober.probes, prober.probes.length + AFTERWARDS_PROBES);
    const saidGone = await countVerdicts(cluster, subject, filledAtWall, ['replica.unhealthy']);
    await node.docker.freeDisk();
    const freedAt = performance.now();
    await untilDiskIs(cluster, node, false);
    const recoversMs = performance.now() - freedAt;
    await untilAllAre(cluster, 'ready');
    const after = await untilAllRun(cluster, subject);
    const reachableMs = performance.now() - freedAt;
    const report = await prober.stop();
    return {
      ...{ refusesMs, recoversMs, reachableMs, saidGone, failed: report.failed.length, asked: report.total },
      breaks: [
        ...refused,
        ...elsewhere,
        ...before.filter((life) => !after.includes(life)).map((life) => `I10: ${life} is not there any more`),
        ...(after.length === REPLICAS ? [] : [`${after.length} of ${REPLICAS} replicas run`]),
        ...report.losses.map((loss) => JSON.stringify(loss)),
      ],
    };
  } finally {
    await node.docker.freeDisk();
    await prober.stop();
    await subject.remove();
  }
}

/** What runs of them once all do, or when patience has run out. */
async function untilAllRun(cluster: Cluster, subject: Subject): Promise<string[]> {
  let running: string[] = [];
  const look = async (): Promise<void> => {
    running = await runningOf(cluster, subject);
    if (running.length < REPLICAS) throw new Error('not yet');
  };
  await eventually(look, { patienceMs: 90_000 }).catch(() => undefined);
  return running;
}

/**
 * What runs of the replicas that are recorded as healthy, in words: container, process and start. Asked by id, since a
 * daemon of 20.10 that was started without room answers with an empty list until the state of a container changes.
 */
async function runningOf({ db, nodes }: Cluster, { id }: Subject): Promise<string[]> {
  const recorded = await db
    .selectFrom('replicas')
    .select(['replica_id', 'container_id', 'node_id'])
    .where('deployment_id', '=', id)
    .where('state', '=', 'healthy')
    .where('serving', '=', true)
    .execute();
  const looks = recorded.map(async ({ replica_id, container_id, node_id }) => {
    const docker = nodes.find(({ nodeId }) => nodeId === node_id)?.docker.client;
    const { State } = (await docker?.getContainer(container_id ?? '').inspect()) ?? {};
    return State?.Running ? [`${replica_id} on ${node_id}, ${container_id} ${State.Pid} ${State.StartedAt}`] : [];
  });
  return (await Promise.all(looks)).flat();
}

async function deployEverywhere(cluster: Cluster): Promise<Subject> {
  const server = aWebServer(cluster.image, '', { replicas: REPLICAS, command: ['/bin/sh', '-c', SERVE] });
  const subject = await createSubject(cluster.api, { ...server, placement: { maxReplicasPerNode: 1 } });
  const { state, errorMessage } = await subject.outcome();
  if (state !== OperationState.SUCCEEDED) throw new Error(`the application does not come up: ${errorMessage}`);
  return subject;
}

/** Nothing may be placed there, and whoever wants just that is told why. */
async function deployTo(cluster: Cluster, { nodeId }: ClusterNode): Promise<string[]> {
  const placement = { constraints: [`node.id==${nodeId}`] };
  const subject = await createSubject(cluster.api, { ...aWebServer(cluster.image, ''), placement });
  const { state, errorMessage } = await subject.outcome();
  await subject.remove();
  return state === OperationState.FAILED && errorMessage.includes('disk') ? [] : [`on a full disk: ${errorMessage}`];
}

async function deployElsewhere(cluster: Cluster, node: ClusterNode): Promise<string[]> {
  const subject = await deployApplication(cluster, 1);
  const { replicas } = await subject.get();
  await subject.remove();
  return replicas.some(({ nodeId }) => nodeId === node.nodeId) ? ['a replica was placed on the full disk'] : [];
}

async function untilDiskIs({ db }: Cluster, { nodeId }: ClusterNode, full: boolean): Promise<void> {
  await eventually(
    async () => {
      const { disk_level: level } = await db
        .selectFrom('nodes')
        .select('disk_level')
        .where('id', '=', nodeId)
        .executeTakeFirstOrThrow();
      if ((level === 'full') !== full) throw new Error(`the disk of ${nodeId} is ${level}`);
    },
    { patienceMs: 120_000 },
  );
}

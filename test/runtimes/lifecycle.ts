import { randomUUID } from 'node:crypto';
import { LABEL } from '../../domain/naming.ts';
import { type Operation, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { type Cluster, containersOf } from '../cluster/cluster.ts';
import { nothingLeft, wholeDeployment } from '../cluster/invariants.ts';
import { aWebServer, createSubject, type SpecInit, type Subject } from '../integration/deployed.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { startProber } from '../support/prober.ts';
import { shopFindsItself, volumeIsKept } from './other-deployments.ts';

/** A step of the story, and how it went. */
export interface Step {
  readonly name: string;
  readonly tookMs: number;
  /** Requests that failed meanwhile, of so many; `null` where nobody asked. */
  readonly failed: readonly [failed: number, asked: number] | null;
  /** Why it is not as it should be; empty when it is. */
  readonly breaks: readonly string[];
}

/** What is asked of the application a second while it is changed. */
const PER_SECOND = 50;

const REPLICAS = 3;

/** Says who it is in its log, answers with its body, and ends when it is told to. */
const SERVE = [
  'echo "serving $BODY from $OBIENTE_REPLICA"; mkdir -p /tmp/www; echo "$BODY" > /tmp/www/index.html',
  'httpd -f -p 8080 -h /tmp/www & trap "exit 0" TERM; wait',
].join('; ');

interface Story {
  readonly cluster: Cluster;
  readonly subject: Subject;
}

/** The life of one deployment, the same on whatever its replicas are made of. Each step ends as the next one needs it. */
const STEPS: Readonly<Record<string, { readonly isAsked: boolean; run(story: Story): Promise<string[]> }>> = {
  'create with 3 replicas': {
    isAsked: false,
    run: async ({ cluster, subject }) => {
      const operation = await subject.outcome();
      const nodes = new Set((await containersOf(subject.id, cluster.nodes)).map(({ nodeId }) => nodeId));
      return [
        ...failureOf(operation),
        ...(nodes.size === REPLICAS ? [] : [`they are on ${nodes.size} nodes of ${REPLICAS}`]),
        ...(await isServing({ cluster, subject }, 'one')),
      ];
    },
  },
  'scale to 5': { isAsked: true, run: (story) => scale(story, 5) },
  'scale to 3': { isAsked: true, run: (story) => scale(story, REPLICAS) },
  'update of a variable, rolling': {
    isAsked: true,
    run: async (story) => {
      const operation = await story.subject.update(aSpec(story.cluster, 'two'));
      return [...(await ended(story, { operation })), ...(await isServing(story, 'two'))];
    },
  },
  rollback: {
    isAsked: true,
    run: async (story) => {
      const asked = await story.cluster.api.deployments.rollbackDeployment(of(story.subject));
      return [...(await ended(story, asked)), ...(await isServing(story, 'one'))];
    },
  },
  restart: {
    isAsked: true,
    run: async (story) => await ended(story, await story.cluster.api.deployments.restartDeployment(of(story.subject))),
  },
  'update to a command that is not there, taken back': {
    isAsked: true,
    run: async (story) => {
      const { cluster, subject } = story;
      const { id } = await subject.update({ ...aSpec(cluster, 'broken'), command: ['/no/such/thing'] });
      const { state, errorCode, errorMessage } = await subject.outcome(id);
      const isRefused = state === OperationState.FAILED && errorMessage.includes('/no/such/thing');
      return [
        ...(isRefused && errorCode === 'REPLICA_EXITED' ? [] : [`it ends with ${errorCode}: ${errorMessage}`]),
        ...(await isServing(story, 'one')),
      ];
    },
  },
  'one container killed, until it is replaced': {
    isAsked: false,
    run: async ({ cluster, subject }) => {
      const pid = await killOne({ cluster, subject });
      await eventually(async () => {
        const pids = await pidsOf({ cluster, subject });
        if (pids.length !== REPLICAS || pids.includes(pid)) throw new Error(`${pids.length} containers run`);
      });
      return await wholeDeployment(cluster, subject.id, REPLICAS);
    },
  },
  'one replica removed by hand, until it is replaced': {
    isAsked: false,
    run: async ({ cluster, subject }) => {
      const taken = await takeOneAway({ cluster, subject });
      await eventually(
        async () => {
          const ids = (await containersOf(subject.id, cluster.nodes))
            .filter(({ running }) => running)
            .map(({ id }) => id);
          if (ids.length !== REPLICAS || ids.includes(taken)) throw new Error(`${ids.length} containers run`);
        },
        { patienceMs: 180_000 },
      );
      await eventually(async () => {
        const { operation } = await subject.get();
        if (operation?.state !== OperationState.SUCCEEDED) throw new Error(`the operation is ${operation?.state}`);
      });
      return await isServing({ cluster, subject }, 'one');
    },
  },
  stop: {
    isAsked: false,
    run: async (story) => {
      const { cluster, subject } = story;
      const asked = await cluster.api.deployments.stopDeployment(of(subject));
      const left = (await ended(story, asked)).concat(
        (await containersOf(subject.id, cluster.nodes)).map(({ id }) => id),
      );
      const { status } = await askThroughIngress(cluster.httpPort, `${subject.name}.localhost`);
      return [...left, ...(status === 503 ? [] : [`stopped, it answers ${status}`])];
    },
  },
  start: {
    isAsked: false,
    run: async (story) => {
      const asked = await story.cluster.api.deployments.startDeployment(of(story.subject));
      return [...(await ended(story, asked)), ...(await isServing(story, 'one'))];
    },
  },
  'logs of all replicas': {
    isAsked: false,
    run: async ({ cluster, subject }) => {
      const { replicas } = await subject.get();
      const wanted = replicas.map(({ id }) => `serving one from ${id}`);
      const request = { deploymentId: subject.id, tail: 20, follow: false };
      const found: string[] = [];
      for await (const { line } of cluster.api.logs.streamLogs(request)) if (line) found.push(line.text);
      return wanted.filter((text) => !found.includes(text)).map((text) => `no line says ${text}`);
    },
  },
  'services of one file find each other': { isAsked: false, run: ({ cluster }) => shopFindsItself(cluster) },
  'a volume is kept over a restart': { isAsked: false, run: ({ cluster }) => volumeIsKept(cluster) },
  delete: {
    isAsked: false,
    run: async ({ cluster, subject }) => {
      await subject.remove();
      return await nothingLeft(cluster);
    },
  },
};

/** Names of the steps, in their order. */
export const STEP_NAMES: readonly string[] = Object.keys(STEPS);

/** Runs the story on a cluster; a step that breaks ends it, since the next ones need what it leaves. */
export async function runLifecycle(cluster: Cluster, tell: (step: Step) => void): Promise<readonly Step[]> {
  const begun = performance.now();
  const subject = await createSubject(cluster.api, aSpec(cluster, 'one'));
  const steps: Step[] = [];
  for (const [name, { isAsked, run }] of Object.entries(STEPS)) {
    const from = steps.length === 0 ? begun : performance.now();
    const asking = { port: cluster.httpPort, host: `${subject.name}.localhost`, perSecond: PER_SECOND };
    const prober = isAsked ? startProber(asking) : undefined;
    const breaks = await run({ cluster, subject }).catch((error: unknown) => [String(error)]);
    const tookMs = performance.now() - from;
    const report = await prober?.stop();
    const lost = report && report.failed.length > 0 ? [`failed requests: ${JSON.stringify(report.losses)}`] : [];
    const failed = report ? ([report.failed.length, report.total] as const) : null;
    const step = { name, tookMs, failed, breaks: [...breaks, ...lost] };
    steps.push(step);
    tell(step);
    if (step.breaks.length > 0) break;
  }
  return steps;
}

function aSpec({ image }: Cluster, body: string): SpecInit {
  return aWebServer(image, body, { replicas: REPLICAS, command: ['/bin/sh', '-c', SERVE] });
}

function of({ id: deploymentId }: Subject) {
  return { idempotencyKey: randomUUID(), deploymentId };
}

async function scale(story: Story, replicas: number): Promise<string[]> {
  const asked = await story.cluster.api.deployments.scaleDeployment({ ...of(story.subject), replicas });
  return [...(await ended(story, asked)), ...(await wholeDeployment(story.cluster, story.subject.id, replicas))];
}

async function ended({ subject }: Story, { operation }: { operation?: Operation | undefined }): Promise<string[]> {
  return failureOf(await subject.outcome(operation?.id));
}

function failureOf({ state, errorCode, errorMessage }: Operation): string[] {
  return state === OperationState.SUCCEEDED ? [] : [`${errorCode}: ${errorMessage}`];
}

async function isServing({ cluster, subject }: Story, body: string): Promise<string[]> {
  const answer = await askThroughIngress(cluster.httpPort, `${subject.name}.localhost`);
  const isRight = answer.status === 200 && answer.body.trim() === body;
  return [
    ...(isRight ? [] : [`it answers ${answer.status} ${answer.body.trim()}`]),
    ...(await wholeDeployment(cluster, subject.id, REPLICAS)),
  ];
}

/** What runs, by process: a container that was started again has another one. */
async function pidsOf({ cluster, subject }: Story): Promise<number[]> {
  const filters = { label: [`${LABEL.deploymentId}=${subject.id}`], status: ['running'] };
  const found = await Promise.all(
    cluster.nodes.map(async ({ docker: { client } }) => {
      const containers = await client.listContainers({ filters });
      return await Promise.all(containers.map(async ({ Id }) => (await client.getContainer(Id).inspect()).State.Pid));
    }),
  );
  return found.flat();
}

/** As a crash does, behind the back of everybody. */
async function killOne(story: Story): Promise<number> {
  const [pid] = await pidsOf(story);
  if (!pid) throw new Error('nothing runs');
  process.kill(pid, 'SIGKILL');
  return pid;
}

/** As somebody does who should not: the container, or the service that would make another one. @returns its id */
async function takeOneAway({ cluster, subject }: Story): Promise<string> {
  const [first] = await containersOf(subject.id, cluster.nodes);
  const client = cluster.nodes.find(({ nodeId }) => nodeId === first?.nodeId)?.docker.client;
  const [manager] = cluster.nodes;
  if (!first || !client || !manager) throw new Error('nothing runs');
  if (first.id === first.dockerId) await client.getContainer(first.id).remove({ force: true, v: true });
  else await manager.docker.client.getService(first.id).remove();
  return first.id;
}

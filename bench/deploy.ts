import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { readKeyring } from '../adapters/sealing/keyring.ts';
import { createTemporalClient } from '../adapters/temporal/client.ts';
import type { Api } from '../cli/client.ts';
import { type DeploymentView, deploymentWorkflowId, VIEW_QUERY } from '../contracts/deployment.ts';
import { networkName } from '../domain/naming.ts';
import { OperationState } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { createSubject, firstProject, type SpecInit } from '../test/integration/deployed.ts';
import type { TestDocker } from '../test/support/docker.ts';
import { eventually } from '../test/support/eventually.ts';
import type { PlatformFacts } from '../test/support/platform.ts';
import { type Bed, onPlatform } from './bed.ts';
import { againstFloor, atMost, type Bench, type Figure, percentile } from './figure.ts';
import { startAnswerFloor } from './floor/answer-floor.ts';
import { anIdleSpec, followStarts, removeAndWait, type Starts, startBare } from './idle-containers.ts';

const PAIRS = 32;
const WARM_UP = 3;

/** Ratio that is aimed at, on a Temporal server as it is shipped. */
const GOAL_P50 = 1.4;
const GOAL_P95 = 1.6;

/** Until a caller has the answer that its request is stored, milliseconds. */
const GOAL_ANSWER_MS = 60;

/** Events in the history of a deployment once one replica of it is healthy and routed. */
const GOAL_EVENTS = 25;

/**
 * From the API call to Docker's own event that the replica runs, against bare create + start + inspect of the same
 * image on the same network, one after the other in the same run. No health gate, no route. The answer is timed against
 * that of a bare workflow on the same servers, whose update stores one row.
 */
export const bench: Bench = {
  name: 'deploy',
  about: 'API call to replica running, against bare Docker create + start + inspect',
  run: () => onPlatform(async (bed) => toFigures(await measure(bed))),
};

interface Samples {
  readonly deploy: number[];
  readonly answer: number[];
  readonly bare: number[];
  readonly bareAnswer: number[];
  readonly historyEvents: number;
}

async function measure({ api, docker, platform }: Bed): Promise<Samples> {
  const projectId = await firstProject(api);
  const starts = await followStarts(docker, platform.instance);
  // It keeps the project's network alive from pair to pair.
  const keeper = await createSubject(api, aServer(docker.image));
  const { state, errorMessage } = await keeper.outcome();
  if (state !== OperationState.SUCCEEDED) throw new Error(`the first deployment did not come up: ${errorMessage}`);
  const historyEvents = await countEvents(platform, keeper.id);
  const floor = await startAnswerFloor(platform);
  const samples = { deploy: [], answer: [], bare: [], bareAnswer: [] } as Omit<Samples, 'historyEvents'>;
  for (let pair = -WARM_UP; pair < PAIRS; pair += 1) {
    const bareAnswerMs = await floor.time();
    const bareMs = await timeBare(docker, networkName(platform.instance, projectId));
    const deployed = await deployOnce(api, { projectId, image: docker.image, starts });
    await removeAndWait(api, deployed.deploymentId);
    if (pair < 0) continue;
    samples.bare.push(bareMs);
    samples.bareAnswer.push(bareAnswerMs);
    samples.deploy.push(deployed.runningMs);
    samples.answer.push(deployed.answerMs);
  }
  await floor.stop();
  await keeper.remove();
  starts.close();
  return { ...samples, historyEvents };
}

/** An ordinary application: with a port, so with a health gate and a route. */
function aServer(image: string): SpecInit {
  const serve = 'trap "exit 0" TERM; httpd -f -p 8080 -h /bin & wait';
  const { source, limits } = anIdleSpec(image);
  return { source, limits, port: 8080, command: ['/bin/sh', '-c', serve] } as SpecInit;
}

/** Length of a deployment's history once its workflow has nothing left to do. */
async function countEvents({ stateDir, temporalAddress }: PlatformFacts, deploymentId: string): Promise<number> {
  const payloadKeys = await readKeyring(join(stateDir, 'keys', 'payload.key'), 'PAYLOAD_KEY_FILE');
  const { client, close } = createTemporalClient({ address: temporalAddress, namespace: 'default', payloadKeys });
  try {
    const workflow = client.workflow.getHandle(deploymentWorkflowId(deploymentId));
    await eventually(async () => {
      const { current, pending } = await workflow.query<DeploymentView>(VIEW_QUERY);
      if (current !== null || pending.length > 0) throw new Error('the workflow is still at work');
    });
    return (await workflow.fetchHistory()).events?.length ?? 0;
  } finally {
    await close();
  }
}

async function deployOnce(
  api: Api,
  wanted: { projectId: string; image: string; starts: Starts },
): Promise<{ deploymentId: string; runningMs: number; answerMs: number }> {
  const request = {
    projectId: wanted.projectId,
    name: `bench-${randomUUID().slice(0, 8)}`,
    spec: anIdleSpec(wanted.image),
  };
  const begun = performance.now();
  const { deployment } = await api.deployments.createDeployment({ idempotencyKey: randomUUID(), ...request });
  const answerMs = performance.now() - begun;
  const deploymentId = deployment?.id ?? '';
  const runningMs = (await wanted.starts.untilStarted(deploymentId)) - begun;
  return { deploymentId, runningMs, answerMs };
}

async function timeBare(docker: TestDocker, network: string): Promise<number> {
  const begun = performance.now();
  const container = await startBare(docker, network);
  const tookMs = performance.now() - begun;
  await container.remove({ force: true, v: true });
  return tookMs;
}

function toFigures({ deploy, answer, bare, bareAnswer, historyEvents }: Samples): Figure[] {
  const floor50 = percentile(bare, 0.5);
  const floor95 = percentile(bare, 0.95);
  return [
    againstFloor({ name: 'running p50', value: percentile(deploy, 0.5), floor: floor50, maxRatio: GOAL_P50 }),
    againstFloor({ name: 'running p95', value: percentile(deploy, 0.95), floor: floor95, maxRatio: GOAL_P95 }),
    againstFloor({
      ...{ name: 'answer p50, against bare', value: percentile(answer, 0.5) },
      ...{ floor: percentile(bareAnswer, 0.5), maxRatio: null },
    }),
    atMost({ name: 'answer p50', value: percentile(answer, 0.5), unit: 'ms', max: GOAL_ANSWER_MS }),
    atMost({ name: 'history of one rollout', value: historyEvents, unit: 'events', max: GOAL_EVENTS }),
  ];
}

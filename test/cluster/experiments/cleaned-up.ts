import { randomBytes, randomUUID } from 'node:crypto';
import { OperationState } from '../../../gen/obiente/cloud/v1/deployments_pb.ts';
import { type GetRetentionRunResponse, RetentionState } from '../../../gen/obiente/cloud/v1/retention_pb.ts';
import { aBuilt } from '../../integration/built.ts';
import { createSubject, type Subject } from '../../integration/deployed.ts';
import { eventually } from '../../support/eventually.ts';
import { probeApplication, SERVE } from '../application.ts';
import { type Cluster, containersOf, untilAllAre } from '../cluster.ts';
import type { Experiment } from '../experiment.ts';
import { atLeast, atMost } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';

/** Together they are fifty deploys, each of an image of its own. */
const DEPLOYMENTS = 10;
const REVISIONS = 5;

/** What each image has that no other one has. */
const BALLAST_BYTES = 8 * 1024 * 1024;

/** Of each deployment stay what runs and what can be gone back to; the rest of its images is for nothing. */
const FOR_NOTHING = DEPLOYMENTS * (REVISIONS - 2);

const PER_SECOND = 5;

const MIB = 1024 * 1024;

/** Fills the hosts by fifty deploys, and clears away what nothing needs while all is asked for. */
export const cleanedUp: Experiment = {
  name: 'cleaned-up',
  about: 'hosts are filled by fifty deploys and cleared under load: what nothing needs goes, what lives is not touched',
  runs: 1,
  run: async (cluster, { runs, tell }) => {
    const breaks: string[] = [];
    const found: Cleaned[] = [];
    for (let run = 0; run < runs; run += 1) {
      const cleaned = await fillAndClean(cluster);
      found.push(cleaned);
      breaks.push(...cleaned.breaks.map((text) => `run ${run + 1}: ${text}`));
      tell(`${run + 1}: ${toLine(cleaned)}`);
    }
    const sum = (of: (cleaned: Cleaned) => number): number => found.reduce((total, cleaned) => total + of(cleaned), 0);
    const mib = (name: string, of: (cleaned: Cleaned) => number) => ({ name, value: sum(of) / MIB, unit: 'MiB' });
    return {
      runs,
      figures: [
        atMost(
          null,
          mib('on all hosts at first', ({ atFirst }) => atFirst),
        ),
        atMost(
          null,
          mib('after fifty deploys', ({ before }) => before),
        ),
        atMost(
          null,
          mib('after the clean-up', ({ after }) => after),
        ),
        atMost(
          null,
          mib('freed by the report', ({ reported }) => reported),
        ),
        // What is counted are layers of the daemon: an image's settings take some bytes more.
        atLeast(1, {
          name: 'freed of what nothing needs',
          value: sum(({ before, after }) => before - after) / (found.length * FOR_NOTHING * BALLAST_BYTES),
          unit: '',
        }),
        atMost(0, { name: 'live containers touched', value: sum(({ touched }) => touched), unit: '' }),
        atMost(0, {
          name: `failed requests of ${sum(({ asked }) => asked)}`,
          value: sum((one) => one.failed),
          unit: '',
        }),
      ],
      breaks,
    };
  },
};

/** What one run came to; bytes are those of all layers on all hosts. */
interface Cleaned {
  readonly atFirst: number;
  readonly before: number;
  readonly after: number;
  readonly reported: number;
  readonly touched: number;
  readonly asked: number;
  readonly failed: number;
  readonly breaks: readonly string[];
}

async function fillAndClean(cluster: Cluster): Promise<Cleaned> {
  await untilAllAre(cluster, 'ready');
  const atFirst = await layerBytes(cluster);
  const subjects = await Promise.all(Array.from({ length: DEPLOYMENTS }, () => deployOften(cluster)));
  const ids = subjects.map(({ id }) => id);
  const containers = async () => (await Promise.all(ids.map((id) => containersOf(id, cluster.nodes)))).flat();
  const [live, before] = await Promise.all([containers(), layerBytes(cluster)]);
  const probers = await Promise.all(subjects.map((subject) => probeApplication(cluster, subject, PER_SECOND)));
  const report = await cleanUp(cluster);
  const after = await layerBytes(cluster);
  const reports = await Promise.all(probers.map((prober) => prober.stop()));
  const left = await containers();
  const breaks = (await Promise.all(ids.map((id) => wholeDeployment(cluster, id, 1)))).flat();
  breaks.push(...(await goBack(cluster, subjects)));
  await Promise.all(subjects.map((subject) => subject.remove()));
  return {
    ...{ atFirst, before, after, breaks },
    reported: report.items.reduce((sum, { reason, bytes }) => sum + (reason === '' ? Number(bytes ?? 0n) : 0), 0),
    touched: live.filter(({ id }) => !left.some((one) => one.id === id && one.running)).length,
    asked: reports.reduce((sum, { total }) => sum + total, 0),
    failed: reports.reduce((sum, { failed }) => sum + failed.length, 0),
  };
}

/** One application after another in the same deployment, each built from files of its own. */
async function deployOften({ api, image }: Cluster): Promise<Subject> {
  const next = async () => {
    const files = { Dockerfile: `FROM ${image}\nCOPY ballast /ballast\n`, ballast: randomBytes(BALLAST_BYTES) };
    return await aBuilt(api, files, { port: 8080, command: ['/bin/sh', '-c', SERVE] });
  };
  const subject = await createSubject(api, await next());
  await requireSuccess(subject);
  for (let revision = 1; revision < REVISIONS; revision += 1) {
    const { id } = await subject.update(await next());
    await requireSuccess(subject, id);
  }
  return subject;
}

async function requireSuccess(subject: Subject, operationId?: string): Promise<void> {
  const { state, errorMessage } = await subject.outcome(operationId);
  if (state !== OperationState.SUCCEEDED) throw new Error(`a deploy does not succeed: ${errorMessage}`);
}

async function cleanUp({ api }: Cluster): Promise<GetRetentionRunResponse> {
  const { run } = await api.retention.runRetention({ idempotencyKey: randomUUID() });
  return await eventually(
    async () => {
      const answer = await api.retention.getRetentionRun({ runId: run?.id ?? '', waitSeconds: 20 });
      if (answer.run?.state === RetentionState.RUNNING) throw new Error('still running');
      if (answer.run?.state !== RetentionState.SUCCEEDED) throw new Error(`failed: ${answer.run?.errorMessage}`);
      return answer;
    },
    { patienceMs: 180_000 },
  );
}

/** What was kept must be of use: the revision before the one that runs comes up from its own image. */
async function goBack({ api }: Cluster, [subject]: readonly Subject[]): Promise<string[]> {
  if (!subject) return [];
  const { operation } = await api.deployments.rollbackDeployment({
    ...{ idempotencyKey: randomUUID(), deploymentId: subject.id, revision: REVISIONS - 1 },
  });
  const { state, errorMessage } = await subject.outcome(operation?.id);
  return state === OperationState.SUCCEEDED ? [] : [`the revision before does not come up: ${errorMessage}`];
}

/** What the layers of all images take on all hosts together. */
async function layerBytes({ nodes }: Cluster): Promise<number> {
  const sizes = await Promise.all(nodes.map(async ({ docker }) => (await docker.client.df()).LayersSize ?? 0));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function toLine({ atFirst, before, after, reported, touched, asked, failed }: Cleaned): string {
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
  return [
    `${mib(atFirst)} at first, ${mib(before)} after ${DEPLOYMENTS * REVISIONS} deploys, ${mib(after)} cleared`,
    `${mib(reported)} by the report; ${touched} live containers touched, ${failed} of ${asked} requests failed`,
  ].join('; ');
}

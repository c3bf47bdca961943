import { randomUUID } from 'node:crypto';
import { OperationState } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { aShopOf } from '../test/integration/a-shop.ts';
import { aWebServer, createSubject, type SpecInit, type Subject } from '../test/integration/deployed.ts';
import { moveTag } from '../test/integration/moved-tag.ts';
import { startProber } from '../test/support/prober.ts';
import { type Bed, onPlatform } from './bed.ts';
import { atMost, type Bench, type Figure, percentile } from './figure.ts';

const REDEPLOYS = Number(process.env.BENCH_REDEPLOYS || 100);
const PER_SECOND = 50;

/** What 50 pages a second take, each of three programs. */
const ROOM = { cpus: '1', memory: '64M' };

/** Far more than a run of this length makes. */
const MOST_PROBES = 500_000;

/** A rollback starts images that are there, so it is a matter of seconds. */
const GOAL_ROLLBACK_MS = 15_000;

/**
 * One redeploy after the other while requests come on kept and on new connections: for a single image with one replica,
 * and for three services that need each other, all of which are replaced each time. Then back to the first revision of
 * those three, whose image's name has moved since.
 */
export const bench: Bench = {
  name: 'redeploys',
  about: `${REDEPLOYS} redeploys under ${PER_SECOND} requests/s, of one image and of three services: failed requests`,
  run: () =>
    onPlatform(async (bed) => [
      ...(await redeploy(bed, 'one image', (turn) => aWebServer(bed.docker.image, `turn-${turn}`))),
      ...(await redeployShop(bed)),
    ]),
};

async function redeploy(
  { api, platform }: Bed,
  what: string,
  specOf: (turn: number) => SpecInit,
  andThen: (subject: Subject) => Promise<readonly Figure[]> = async () => [],
): Promise<Figure[]> {
  const subject = await createSubject(api, specOf(0));
  await succeed(subject);
  const options = { port: platform.httpPort, host: `${subject.name}.localhost` };
  const prober = startProber({ ...options, perSecond: PER_SECOND, maxProbes: MOST_PROBES });
  const took: number[] = [];
  for (let turn = 1; turn <= REDEPLOYS; turn += 1) {
    const begun = performance.now();
    await succeed(subject, (await subject.update(specOf(turn))).id);
    took.push(performance.now() - begun);
  }
  const { total, failed, losses } = await prober.stop();
  for (const loss of losses) process.stderr.write(`${JSON.stringify(loss)}\n`);
  process.stderr.write(`${what}: ${took.length} redeploys, ${total} requests, ${failed.length} failed\n`);
  const more = await andThen(subject);
  await subject.remove();
  return [
    atMost({ name: `${what}: requests`, value: total, unit: '', max: null }),
    atMost({ name: `${what}: failed`, value: failed.length, unit: '', max: 0 }),
    atMost({ name: `${what}: a redeploy, p50`, value: percentile(took, 0.5), unit: 'ms', max: null }),
    ...more,
  ];
}

async function redeployShop(bed: Bed): Promise<Figure[]> {
  const { docker, api } = bed;
  const image = `redeployed-${randomUUID().slice(0, 8)}:1`;
  await moveTag(docker, image);
  const specOf = (turn: number) =>
    aShopOf(image, { web: `web-${turn}`, prices: `prices-${turn}`, stock: `stock-${turn}` }, {}, ROOM);
  const figures = await redeploy(bed, 'three services', specOf, async (subject) => {
    await moveTag(docker, image);
    const begun = performance.now();
    const request = { idempotencyKey: randomUUID(), deploymentId: subject.id, toRevision: 1 };
    await succeed(subject, (await api.deployments.rollbackDeployment(request)).operation?.id);
    const value = performance.now() - begun;
    return [atMost({ name: 'rollback of the three', value, unit: 'ms', max: GOAL_ROLLBACK_MS })];
  });
  await docker.client.getImage(image).remove({ force: true });
  return figures;
}

async function succeed(subject: Subject, operationId?: string): Promise<void> {
  const { state, errorMessage } = await subject.outcome(operationId);
  if (state !== OperationState.SUCCEEDED) throw new Error(`a deploy did not succeed: ${errorMessage}`);
}

import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import { networkName } from '../domain/naming.ts';
import { OperationState } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { createSubject, firstProject } from '../test/integration/deployed.ts';
import { type Bed, onPlatform } from './bed.ts';
import { type Bench, type Figure, percentile } from './figure.ts';
import { anIdleSpec, followStarts, removeAndWait, SMALL, startBare } from './idle-containers.ts';

const DEPLOYS = 32;
const ROUNDS = 3;

/** Of what a pool of callers of bare Docker starts in a second. */
const GOAL_SHARE = 0.85;

/** As many starts at a time as a node of the platform allows itself on two cores. */
const POOL = 4;

/**
 * Many deploys at once on one node, against a pool that creates and starts as many containers through Docker's API: how
 * many of them run after so many seconds. Both one after the other in each round.
 */
export const bench: Bench = {
  name: 'burst',
  about: `${DEPLOYS} deploys at once on one node, against a pool of bare Docker create + start + inspect`,
  run: () => onPlatform(measure),
};

async function measure({ api, docker, platform }: Bed): Promise<Figure[]> {
  const projectId = await firstProject(api);
  const network = networkName(platform.instance, projectId);
  const starts = await followStarts(docker, platform.instance);
  // It keeps the project's network alive from round to round.
  const keeper = await createSubject(api, anIdleSpec(docker.image, SMALL));
  const { state, errorMessage } = await keeper.outcome();
  if (state !== OperationState.SUCCEEDED) throw new Error(`the first deployment did not come up: ${errorMessage}`);
  const [ours, bare]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    const begunBare = performance.now();
    const pool = pLimit(POOL);
    const containers = await Promise.all(Array.from({ length: DEPLOYS }, () => pool(() => startBare(docker, network))));
    bare.push(perSecond(begunBare));
    await Promise.all(containers.map((container) => container.remove({ force: true, v: true })));

    const begun = performance.now();
    const deploymentIds = await Promise.all(
      Array.from({ length: DEPLOYS }, async () => {
        const request = { projectId, name: `bench-${randomUUID().slice(0, 8)}`, spec: anIdleSpec(docker.image, SMALL) };
        const { deployment } = await api.deployments.createDeployment({ idempotencyKey: randomUUID(), ...request });
        return deployment?.id ?? '';
      }),
    );
    await Promise.all(deploymentIds.map(starts.untilStarted));
    ours.push(perSecond(begun));
    await Promise.all(deploymentIds.map((deploymentId) => removeAndWait(api, deploymentId)));
  }
  await keeper.remove();
  starts.close();
  const [value, floor] = [percentile(ours, 0.5), percentile(bare, 0.5)];
  const ratio = value / floor;
  const goal = `ratio >= ${GOAL_SHARE}`;
  return [{ name: 'deploys running', value, unit: '1/s', floor, ratio, goal, holds: ratio >= GOAL_SHARE }];
}

function perSecond(begun: number): number {
  return DEPLOYS / ((performance.now() - begun) / 1_000);
}

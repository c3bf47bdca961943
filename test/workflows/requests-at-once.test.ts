import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataConverter } from '../../adapters/temporal/data-converter.ts';
import type { DeploymentCall } from '../../adapters/temporal/deployment-calls.ts';
import { deploymentWorkflowId, type OperationRequest } from '../../contracts/deployment.ts';
import { askByUpdate } from '../support/ask-by-update.ts';
import { aDeployRequest, aRemoveRequest, aSpec } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster } from '../support/fake-cluster.ts';
import { aPlace, startWorkflowRig } from '../support/workflow-rig.ts';

/** Enough that without the rule of one local activity at a time several histories of each run do not replay. */
const ROUNDS = 16;

/** Of so many one asks as an API does today. The others ask as one of before, by updates, with more writes at a time. */
const ONE_IN = 4;

/** Longest that a write takes here, and longest gap between two requests: so requests meet writes that are under way. */
const WRITE_MS = 8;
const GAP_MS = 15;

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

describe('requests that come at once', { timeout: 120_000 }, () => {
  it('leave histories that the next orchestrator can continue', async () => {
    const histories = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const isOfToday = round % ONE_IN === 0;
      const ask: Ask = isOfToday ? (call) => rig.gateway.submit(call) : (call) => askByUpdate(rig, call);
      histories.push(await afterRequestsAtOnce(ask));
    }
    const options = {
      workflowBundle: rig.workflowBundle,
      dataConverter: createDataConverter({ payloadKeys: rig.temporal.payloadKeys }),
    };
    const errors: unknown[] = [];
    for await (const { error } of Worker.runReplayHistories(options, histories)) if (error) errors.push(error);
    expect(errors).toEqual([]);
  });
});

type Ask = (call: DeploymentCall<OperationRequest>) => Promise<unknown>;

/** Asks for a deployment, two updates and its end within milliseconds. @returns the history once all has ended. */
async function afterRequestsAtOnce(ask: Ask) {
  const cluster = createFakeCluster();
  const slow = { ...cluster, store: withRandomDelays(cluster.store) };
  const place = aPlace();
  const workflowId = deploymentWorkflowId(place.deploymentId);
  await rig.withCluster(slow, async () => {
    const spec = aSpec({ replicas: 2 });
    const asked = [ask({ ...place, request: aDeployRequest({ spec }) })];
    for (const createAs of [null, null]) {
      await delay(Math.random() * GAP_MS);
      asked.push(ask({ ...place, request: aDeployRequest({ spec, createAs }) }));
    }
    await delay(Math.random() * GAP_MS);
    asked.push(ask({ ...place, request: aRemoveRequest() }));
    await Promise.allSettled(asked);
    await eventually(() => expect(cluster.isPurged()).toBe(true));
    await rig.client.workflow.getHandle(workflowId).result();
  });
  return { workflowId, history: await rig.client.workflow.getHandle(workflowId).fetchHistory() };
}

function withRandomDelays<Activities extends object>(activities: Activities): Activities {
  const delayed = Object.entries(activities).map(([name, activity]) => [
    name,
    async (input: unknown) => {
      await delay(Math.random() * WRITE_MS);
      return await (activity as (input: unknown) => Promise<unknown>)(input);
    },
  ]);
  return Object.fromEntries(delayed) as Activities;
}

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../../cli/client.ts';
import { LABEL } from '../../domain/naming.ts';
import { OperationKind, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { NodeState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { type ExtraNode, startExtraNode } from '../support/extra-node.ts';
import { openApi, startTestPlatform } from '../support/platform.ts';
import { removeInstance } from '../support/remove-instance.ts';
import { aBuilt, readLog } from './built.ts';
import { createSubject, type SpecInit, type Subject } from './deployed.ts';

let platform: Awaited<ReturnType<typeof startTestPlatform>>;
let second: ExtraNode;
let api: Api;
const first = new Dockerode({ socketPath: DOCKER_SOCKET });

beforeAll(async () => {
  platform = await startTestPlatform();
  api = openApi(platform);
  second = await startExtraNode(platform);
  await untilSecondIs(NodeState.READY);
}, 240_000);
afterAll(async () => {
  api?.close();
  await second?.remove();
  await platform?.stop();
  if (platform) await removeInstance(first, platform.instance);
}, 120_000);

async function untilSecondIs(state: NodeState): Promise<void> {
  await eventually(
    async () => {
      const { nodes } = await api.nodes.listNodes({});
      expect(nodes.find(({ id }) => id === second.nodeId)?.state).toBe(state);
    },
    { patienceMs: 120_000 },
  );
}

/** A spec whose image no build has made before. */
async function aFreshBuild(replicas: number): Promise<SpecInit> {
  return await aBuilt(api, await sleeper(), { replicas });
}

/** What a build of an image that sleeps is made of. */
async function sleeper() {
  const dockerfile = ['FROM scratch', 'COPY busybox /bin/sleep', `ENV MARK=${randomUUID()}`].join('\n');
  return { Dockerfile: dockerfile, busybox: await readFile('/bin/busybox') };
}

/** Ids of the images that the containers of a deployment run on a daemon. */
async function imagesOn(client: Dockerode, { id }: Subject): Promise<string[]> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`] };
  const containers = await client.listContainers({ all: true, filters });
  return containers.filter(({ State }) => State === 'running').map(({ ImageID }) => ImageID);
}

describe('an image that is built on one node', { timeout: 240_000 }, () => {
  it('runs on another one too, and goes with the deployment from both', async () => {
    const subject = await createSubject(api, await aFreshBuild(4));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    expect((await readLog(api, subject.id))[0]?.text).toMatch(/^Step 1\/\d+ : FROM scratch$/);
    const [here, there] = [await imagesOn(first, subject), await imagesOn(second.docker, subject)];
    expect([here.length, there.length]).toEqual([2, 2]);
    expect(new Set([...here, ...there]).size).toBe(1);
    await subject.remove();
    const filters = { label: [`${LABEL.deploymentId}=${subject.id}`] };
    for (const client of [first, second.docker]) expect(await client.listImages({ filters })).toEqual([]);
  });

  it('is not to be had any more when that node is gone before another one was given it, and that is said', async () => {
    const subject = await createSubject(api, await aFreshBuild(1));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    expect(await imagesOn(second.docker, subject)).toHaveLength(1);
    await second.stop();
    await untilSecondIs(NodeState.LOST);
    const scaled = await api.deployments.scaleDeployment({
      ...{ idempotencyKey: randomUUID(), deploymentId: subject.id, replicas: 2 },
    });
    const outcome = await subject.outcome(scaled.operation?.id);
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'IMAGE_UNAVAILABLE' });
    expect(outcome.errorMessage).toContain(`${second.nodeId} has it and does not answer`);
    const { id } = await subject.update(await aFreshBuild(1));
    expect(await subject.outcome(id)).toMatchObject({ state: OperationState.SUCCEEDED });
    expect(await imagesOn(first, subject)).toHaveLength(1);
    await subject.remove();
  });
});

/** Ids of the containers of a deployment that run on a daemon. */
async function runningOn(client: Dockerode, { id }: Subject): Promise<string[]> {
  const containers = await client.listContainers({ filters: { label: [`${LABEL.deploymentId}=${id}`] } });
  return containers.map(({ Id }) => Id);
}

describe('a node that is lost', { timeout: 240_000 }, () => {
  it('has its replicas replaced elsewhere, and none twice once it is back', async () => {
    await second.start();
    await untilSecondIs(NodeState.READY);
    const subject = await createSubject(api, await aFreshBuild(2));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    expect([(await runningOn(first, subject)).length, (await runningOn(second.docker, subject)).length]).toEqual([
      1, 1,
    ]);
    const [left] = await runningOn(second.docker, subject);

    await second.stop();
    await eventually(
      async () => {
        const { operation, replicas } = await subject.get();
        expect(operation).toMatchObject({ kind: OperationKind.HEAL, state: OperationState.SUCCEEDED });
        expect(replicas.map(({ nodeId }) => nodeId === second.nodeId)).toEqual([false, false]);
      },
      { patienceMs: 120_000 },
    );
    expect(await runningOn(first, subject)).toHaveLength(2);
    // Nobody has told its daemon: what it ran goes on until the node is back.
    expect(await runningOn(second.docker, subject)).toEqual([left]);

    await second.start();
    await eventually(async () => expect(await runningOn(second.docker, subject)).toEqual([]), { patienceMs: 120_000 });
    expect(await runningOn(first, subject)).toHaveLength(2);
    await subject.remove();
  });
});

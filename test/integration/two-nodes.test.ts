import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../../cli/client.ts';
import { LABEL } from '../../domain/naming.ts';
import { OperationKind, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { NodeState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { LostVolumesPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { readFileOf } from '../support/container-file.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { type ExtraNode, startExtraNode } from '../support/extra-node.ts';
import { openApi, startTestPlatform } from '../support/platform.ts';
import { removeInstance } from '../support/remove-instance.ts';
import { aBuilt, readLog } from './built.ts';
import { createSubject, firstProject, type SpecInit, type Subject } from './deployed.ts';

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

/** Whoever starts writes its name below those before it. */
async function aLedger(name = 'ledger', more: Partial<SpecInit> = {}): Promise<SpecInit> {
  const shell = ['FROM scratch', 'COPY busybox /bin/sh', 'COPY busybox /bin/sleep', `ENV MARK=${randomUUID()}`];
  return await aBuilt(
    api,
    { Dockerfile: shell.join('\n'), busybox: await readFile('/bin/busybox') },
    {
      command: ['/bin/sh', '-c', 'echo "$OBIENTE_REPLICA" >> /data/ledger; exec sleep 86400'],
      volumes: [{ volume: name, path: '/data', readOnly: false }],
      ...more,
    },
  );
}

/** Both daemons. */
async function daemonsByNode(): Promise<Map<string, Dockerode>> {
  const { nodes } = await api.nodes.listNodes({});
  return new Map(nodes.map(({ id }) => [id, id === second.nodeId ? second.docker : first]));
}

async function move(subject: Subject, toNodeId: string): Promise<void> {
  const { operation } = await api.deployments.moveDeployment({
    ...{ idempotencyKey: randomUUID(), deploymentId: subject.id, toNodeId },
  });
  const moved = { kind: OperationKind.MOVE, state: OperationState.SUCCEEDED, errorMessage: '' };
  expect(await subject.outcome(operation?.id)).toMatchObject(moved);
}

describe('a volume', { timeout: 240_000 }, () => {
  it('goes to the other node with what writes it, and back, and nothing of it stays behind', async () => {
    const subject = await createSubject(api, await aLedger());
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    const daemons = await daemonsByNode();
    const from = (await subject.get()).replicas[0]?.nodeId ?? '';
    const to = [...daemons.keys()].find((id) => id !== from) ?? '';
    const filters = { label: [`${LABEL.instance}=${platform.instance}`] };
    const volumesOn = async (nodeId: string) =>
      ((await daemons.get(nodeId)?.listVolumes({ filters })) ?? { Volumes: [] }).Volumes.map(({ Name }) => Name);
    const moveTo = async (toNodeId: string): Promise<string> => {
      await move(subject, toNodeId);
      for (const [nodeId, client] of daemons) {
        expect(await runningOn(client, subject)).toHaveLength(nodeId === toNodeId ? 1 : 0);
        const copies = nodeId === toNodeId ? 1 : 0;
        await eventually(async () => expect(await volumesOn(nodeId)).toHaveLength(copies), { patienceMs: 60_000 });
      }
      const client = daemons.get(toNodeId) ?? first;
      const [container = ''] = await runningOn(client, subject);
      return await readFileOf(client, container, '/data/ledger');
    };
    expect(await moveTo(to)).toBe('r1-0\nr1-1\n');
    expect(await moveTo(from)).toBe('r1-0\nr1-1\nr1-2\n');
    await subject.remove();
    const name = 'ledger';
    await api.volumes.deleteVolume({ idempotencyKey: randomUUID(), projectId: await firstProject(api), name });
    await eventually(async () => expect(await volumesOn(from)).toEqual([]), { patienceMs: 60_000 });
  });

  it('stays on a lost node under another name where its deployment shall begin elsewhere without it', async () => {
    const placement = { lostVolumes: LostVolumesPolicy.BEGIN_EMPTY };
    const subject = await createSubject(api, await aLedger('cache', { placement }));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    const home = [...(await daemonsByNode()).keys()].find((id) => id !== second.nodeId) ?? '';
    // By way of the other node, so that both have the image.
    if ((await subject.get()).replicas[0]?.nodeId !== home) await move(subject, home);
    await move(subject, second.nodeId);
    const [lost = ''] = await runningOn(second.docker, subject);
    const written = await readFileOf(second.docker, lost, '/data/ledger');

    await second.stop();
    await eventually(
      async () => {
        const { operation, replicas } = await subject.get();
        expect(operation).toMatchObject({ kind: OperationKind.HEAL, state: OperationState.SUCCEEDED });
        expect(replicas.map(({ nodeId }) => nodeId)).toEqual([home]);
      },
      { patienceMs: 120_000 },
    );
    const [begun = ''] = await runningOn(first, subject);
    expect(await readFileOf(first, begun, '/data/ledger')).toMatch(/^r1-\d+\n$/);

    await second.start();
    await eventually(async () => expect(await runningOn(second.docker, subject)).toEqual([]), { patienceMs: 120_000 });
    const projectId = await firstProject(api);
    const { project } = await api.projects.getProject({ projectId });
    const { organizationId = '' } = project ?? {};
    const { volumes } = await api.volumes.listVolumes({ organizationId, projectId });
    const places = volumes.filter(({ name }) => name.startsWith('cache')).map(({ name, nodeId }) => [name, nodeId]);
    expect(places).toEqual([
      ['cache-left-1', second.nodeId],
      ['cache', home],
    ]);

    // What was left is a volume like any other: who mounts it has what was written.
    const reader = await createSubject(api, await aLedger('cache-left-1'));
    expect(await reader.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    const [container = ''] = await runningOn(second.docker, reader);
    expect(await readFileOf(second.docker, container, '/data/ledger')).toBe(`${written}r1-0\n`);
    await Promise.all([subject.remove(), reader.remove()]);
    for (const name of ['cache', 'cache-left-1']) {
      await api.volumes.deleteVolume({ idempotencyKey: randomUUID(), projectId, name });
    }
  });
});

import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createRetainOrphans, type OrphanPorts } from '../../activities/retain-orphans.ts';
import type { OrphanSurvey, RemovedOrphans } from '../../contracts/orphans.ts';
import type { WantedContainer } from '../../domain/container.ts';
import { containerName, LABEL, networkName, ownedLabels, replicaLabels } from '../../domain/naming.ts';
import type { OwnableThing } from '../../domain/retention/orphans.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../domain/spec.ts';
import { openTestDocker, type TestDocker } from '../support/docker.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const OTHER_INSTANCE = 'zz00zz00';

let test: TestDocker;
/** Made by hand under other installations. */
const strangers: string[] = [];
beforeAll(async () => {
  test = await openTestDocker();
});
afterAll(async () => await test?.remove());
afterEach(async () => {
  for (const id of new Set([...(await test.listContainers()), ...strangers.splice(0)])) {
    await test.client.getContainer(id).remove({ force: true, v: true });
  }
  const filters = { label: [`${LABEL.instance}=${test.instance}`] };
  for (const { Id } of await test.client.listNetworks({ filters })) await test.client.getNetwork(Id).remove();
});

function run<Input, Answer>(activity: (input: Input) => Promise<Answer>, input: Input): Promise<Answer> {
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return environment.run(activity, input) as Promise<Answer>;
}

/** A replica's container that runs, as a rollout makes it. */
async function aReplica(of: { deploymentId?: string; projectId?: string; index?: number } = {}) {
  const { deploymentId = randomUUID(), projectId = randomUUID(), index = 0 } = of;
  const { instance } = test;
  const replica = { instance, deploymentId, revision: 1, index };
  const network = networkName(instance, projectId);
  await test.docker.ensureNetwork({ name: network, labels: ownedLabels({ instance, projectId }) });
  const { Id: imageId } = await test.client.getImage(test.image).inspect();
  const wanted: WantedContainer = {
    ...{
      name: containerName(replica),
      imageId,
      network,
      alias: 'app',
      environment: {},
      command: ['/bin/sleep', '600'],
    },
    labels: replicaLabels({ ...replica, projectId, service: 'app', serviceName: 'app', operationId: randomUUID() }),
    ...{ port: null, limits: DEFAULT_LIMITS, restartPolicy: 'always', settings: PLAIN_CONTAINER },
    healthCheck: { ...DEFAULT_HEALTH_CHECK, probe: { kind: 'none' } },
  };
  const { id } = await test.docker.createContainer(wanted);
  await test.docker.startContainer(id);
  return { id, deploymentId, projectId, network };
}

/** A container that somebody made by hand, with these labels. */
async function aStranger(labels: Record<string, string>): Promise<string> {
  const created = await test.client.createContainer({ Image: test.image, Cmd: ['/bin/sleep', '600'], Labels: labels });
  strangers.push(created.id);
  await created.start();
  return created.id;
}

/** The activities of a node whose control plane knows these things. */
function aNode(recorded: readonly string[] = [], changes: Partial<OrphanPorts> = {}) {
  const ports: OrphanPorts = {
    ...{ instance: test.instance, runtime: test.docker, now: () => new Date() },
    restarts: { retire: async () => undefined, isClaimed: () => false },
    findOwned: async (things) => new Set(things.map(({ id }) => id).filter((id) => recorded.includes(id))),
    ...changes,
  };
  return createRetainOrphans(ports);
}

const survey = (node: ReturnType<typeof aNode>, graceMs = 0): Promise<OrphanSurvey> =>
  run(node.surveyOrphans, { graceMs });
const remove = (node: ReturnType<typeof aNode>, orphans: readonly OwnableThing[]): Promise<RemovedOrphans> =>
  run(node.removeOrphans, { orphans });

async function exists(id: string): Promise<boolean> {
  return (await test.docker.findContainer(id)) !== undefined;
}

async function networkIdOf(name: string): Promise<string> {
  return ((await test.client.getNetwork(name).inspect()) as { Id: string }).Id;
}

describe('orphans of a node', () => {
  it('are containers and networks that no record owns; they go by their ids, and what is recorded stays', async () => {
    const [left, kept] = [await aReplica(), await aReplica()];
    const networks = [await networkIdOf(left.network), await networkIdOf(kept.network)];
    const node = aNode([kept.id, networks[1] ?? '']);
    const { orphans, kept: stays } = await survey(node);
    expect(orphans.map(({ id }) => id).toSorted()).toEqual([left.id, networks[0]].toSorted());
    expect(stays).toMatchObject({ recorded: 2 });
    const { outcomes } = await remove(node, orphans);
    expect(outcomes).toEqual({ [left.id]: '', [networks[0] ?? '']: '' });
    expect([await exists(left.id), await exists(kept.id)]).toEqual([false, true]);
    await expect(test.client.getNetwork(left.network).inspect()).rejects.toThrow(/404/);
    expect(await networkIdOf(kept.network)).toBe(networks[1]);
    expect((await survey(node)).orphans).toEqual([]);
  });

  it('stay within the grace', async () => {
    const { id } = await aReplica();
    const { orphans, kept } = await survey(aNode(), 300_000);
    expect(orphans).toEqual([]);
    expect(kept).toMatchObject({ 'made of late, so a record may be on its way': 2 });
    const later = aNode([], { now: () => new Date(Date.now() + 300_000) });
    expect((await survey(later, 300_000)).orphans.map((orphan) => orphan.id)).toContain(id);
  });

  it('are neither what carries forged labels nor what is of another installation: both are told of and left alone', async () => {
    const deploymentId = randomUUID();
    const forged = await aStranger({
      ...ownedLabels({ instance: test.instance, projectId: randomUUID(), deploymentId }),
      [LABEL.revision]: '1',
      [LABEL.replica]: 'r1-0',
    });
    const foreign = await aStranger({ [LABEL.managed]: 'true', [LABEL.instance]: OTHER_INSTANCE });
    const node = aNode();
    const { orphans, kept } = await survey(node);
    expect(orphans).toEqual([]);
    expect(kept['carry labels of this installation, but were not made by it: look who made them']).toBe(1);
    expect(kept['of another installation']).toBeGreaterThanOrEqual(1);
    const decided = { kind: 'container', id: foreign, name: '', ownerId: deploymentId, replicaId: 'r1-0' } as const;
    expect((await remove(node, [decided])).outcomes).toEqual({ [foreign]: 'it is another one than before' });
    expect([await exists(forged), await exists(foreign)]).toEqual([true, true]);
  });

  it('are spared when a record has come for them since they were listed, or a rollout is just bringing them up', async () => {
    const [recorded, claimed] = [await aReplica(), await aReplica()];
    const { orphans } = await survey(aNode());
    const containers = orphans.filter(({ kind }) => kind === 'container');
    const restarts = { retire: async () => undefined, isClaimed: (id: string) => id === claimed.id };
    const { outcomes } = await remove(aNode([recorded.id], { restarts }), containers);
    expect(outcomes).toEqual({
      [recorded.id]: 'a record has come for it',
      [claimed.id]: 'it is just being brought up',
    });
    expect([await exists(recorded.id), await exists(claimed.id)]).toEqual([true, true]);
  });

  it('keep a network to which a container is attached', async () => {
    const { network } = await aReplica();
    const node = aNode();
    const { orphans } = await survey(node);
    const networks = orphans.filter(({ kind }) => kind === 'network');
    const { outcomes } = await remove(node, networks);
    expect(Object.values(outcomes)).toEqual(['a container is attached to it']);
    await networkIdOf(network);
  });

  it('are removed once when the node dies in the middle and begins again', async () => {
    const replicas = [await aReplica(), await aReplica(), await aReplica()];
    const containers = (await survey(aNode())).orphans.filter(({ kind }) => kind === 'container');
    let left = 1;
    const removeContainer = async (id: string) => {
      left -= 1;
      if (left < 0) throw new Error('killed');
      await test.docker.removeContainer(id);
    };
    await expect(remove(aNode([], { runtime: { ...test.docker, removeContainer } }), containers)).rejects.toThrow(
      'killed',
    );
    const { outcomes } = await remove(aNode(), containers);
    expect(Object.values(outcomes)).toEqual(['', '', '']);
    for (const { id } of replicas) expect(await exists(id)).toBe(false);
  });

  it('are left alone altogether while the control plane cannot be asked', async () => {
    const { id } = await aReplica();
    const { orphans } = await survey(aNode());
    const findOwned = () => Promise.reject(new Error('the control plane is away'));
    await expect(survey(aNode([], { findOwned }))).rejects.toThrow('away');
    await expect(remove(aNode([], { findOwned }), orphans)).rejects.toThrow('away');
    expect(await exists(id)).toBe(true);
  });
});

import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findImageSources } from './image-sources.ts';

const database = useTestDatabase();
const IMAGE = `sha256:${'b'.repeat(64)}`;

beforeEach(async () => {
  await withoutNodes(database.db);
});

/** A deployment with a replica on each of three nodes, whose image one of them has built. */
async function aBuiltDeployment(pushed: { reference?: string } = {}) {
  const { db } = database;
  const nodeIds = [];
  for (const name of ['node-aaaa', 'node-bbbb', 'node-cccc']) nodeIds.push(await aReadyNode(db, { nodeId: name }));
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  const store = createDeploymentStore(db, { domain: 'example.test', placement });
  const source = { kind: 'dockerfile', contextSha256: 'c'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
  const spec = aSpec({ replicas: 3, source });
  const creation = aCreation(await aTenant(db), { createAs: `app-${randomUUID()}`, spec });
  const { deploymentId } = creation;
  const ref = { deploymentId, operationId: (await store.storeOperation(creation)).operationId };
  const { services } = await store.beginRollout(ref);
  const builder = services[0]?.buildNodeId ?? '';
  await store.recordBuild({ ...ref, service: 'app', revision: 1, imageId: IMAGE, ...pushed });
  const [first = '', second = ''] = nodeIds.filter((id) => id !== builder);
  const ask = (nodeId: string, imageId = IMAGE, of = deploymentId) =>
    findImageSources(db, { deploymentId: of, imageId, nodeId });
  const holdersFor = async (nodeId: string) => (await ask(nodeId)).holders.map((holder) => holder.nodeId);
  return { db, store, deploymentId, builder, first, second, ask, holdersFor };
}

describe('where a built image is', () => {
  it('is at its builder first, then at those that were told so, and never at the one that asks', async () => {
    const { builder, first, second, ask, holdersFor } = await aBuiltDeployment();
    expect((await ask(first)).reference).toBeNull();
    expect(await holdersFor(first)).toEqual([builder]);
    expect(await holdersFor(first)).toEqual([builder]);
    expect(await holdersFor(second)).toEqual([builder, first]);
    expect(await holdersFor(builder)).toEqual([first, second]);
  });

  it('is told with the registry that it was pushed to', async () => {
    const reference = `registry.test/builds/x@sha256:${'d'.repeat(64)}`;
    const { first, ask } = await aBuiltDeployment({ reference });
    expect(await ask(first)).toMatchObject({ reference });
  });

  it('is told with the nodes that are known not to answer', async () => {
    const { store, builder, first, ask } = await aBuiltDeployment();
    await store.recordNodeState({ nodeId: builder, state: 'lost', reason: 'the node gave no sign of life' });
    expect((await ask(first)).holders).toMatchObject([{ nodeId: builder, isLost: true }]);
  });

  it('is told to nobody who has no replica that runs it', async () => {
    const { db, deploymentId, first, ask } = await aBuiltDeployment();
    const stranger = await aReadyNode(db, { nodeId: 'node-dddd' });
    await expect(ask(stranger)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(ask(first, `sha256:${'e'.repeat(64)}`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(ask(first, IMAGE, randomUUID())).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await db.deleteFrom('replicas').where('deployment_id', '=', deploymentId).where('node_id', '=', first).execute();
    await expect(ask(first)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import type { PlacementRules } from '../../domain/placement/placement.ts';
import { aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { listEvents } from './events.ts';
import { setCordoned } from './nodes.ts';

const database = useTestDatabase();

beforeEach(async () => {
  await withoutNodes(database.db);
  await database.db.deleteFrom('placement_rotation').execute();
  for (const nodeId of ['host-000a', 'host-000b', 'host-000c']) await aReadyNode(database.db, { nodeId });
});

/** Begins a deployment by an orchestrator of its own. @returns the nodes of its replicas, and what is told of it. */
async function place(rules: Partial<PlacementRules> = {}, replicas = 1) {
  const placement = { strategy: 'round-robin', maxDeploymentsPerNode: 50, ...rules } as const;
  const store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas }) });
  const { deploymentId } = creation;
  const { operationId } = await store.storeOperation(creation);
  const { reserved } = await store.beginRollout({ deploymentId, operationId });
  const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 100 });
  return {
    nodes: reserved.map(({ nodeId }) => nodeId),
    told: events.find(({ kind }) => kind === 'replica.placed')?.message,
  };
}

describe('placement', () => {
  it('goes on with its rotation in another process', async () => {
    expect((await place({}, 2)).nodes).toEqual(['host-000a', 'host-000b']);
    expect((await place()).nodes).toEqual(['host-000c']);
    expect((await place()).nodes).toEqual(['host-000a']);
  });

  it('tells why it is there, and why not elsewhere', async () => {
    await setCordoned(database.db, 'host-000a', true);
    await database.db.updateTable('nodes').set({ state: 'lost' }).where('id', '=', 'host-000b').execute();
    expect((await place({ strategy: 'least-loaded' })).told).toMatch(
      /^1 replica placed on host-000c \(least-loaded: host-000c \d+ % full with it; not host-000a \(cordoned\), host-000b \(lost\)\)$/,
    );
  });

  it('spreads across the values of a label', async () => {
    const label = (nodeId: string, zone: string) =>
      database.db
        .updateTable('nodes')
        .set({ labels: JSON.stringify({ zone }) })
        .where('id', '=', nodeId)
        .execute();
    await label('host-000a', 'east');
    await label('host-000b', 'east');
    await label('host-000c', 'west');
    const { nodes } = await place({ strategy: 'spread', spreadLabel: 'zone' }, 4);
    expect(nodes.toSorted()).toEqual(['host-000a', 'host-000b', 'host-000c', 'host-000c']);
  });

  it('takes a cordoned node again once it is no more', async () => {
    for (const nodeId of ['host-000a', 'host-000b', 'host-000c']) await setCordoned(database.db, nodeId, true);
    await expect(place()).rejects.toThrow(/none of 3 nodes is ready/);
    await setCordoned(database.db, 'host-000b', false);
    expect((await place()).nodes).toEqual(['host-000b']);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import type { PlacementRules } from '../../../domain/placement/placement.ts';
import type { RebalancePlan } from '../../../domain/placement/rebalance.ts';
import { type ComposeSpec, type DeploymentSpec, PLAIN_CONTAINER, type VolumeMount } from '../../../domain/spec.ts';
import { aSpec } from '../../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, rollOut, withoutNodes } from '../../../test/support/control-data.ts';
import { useTestDatabase } from '../../../test/support/database.ts';
import { createDeploymentStore } from '../deployment-store.ts';
import { setCordoned } from '../nodes.ts';
import { readRebalancePlan } from './plan-rebalance.ts';

const GIB = 1024 ** 3;
const RULES: PlacementRules = { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 4 };

const database = useTestDatabase();

beforeEach(async () => {
  await withoutNodes(database.db);
  for (const nodeId of ['host-000a', 'host-000b']) await aReadyNode(database.db, { nodeId, memoryBytes: 4 * GIB });
  await setCordoned(database.db, 'host-000b', true);
});

/** Brings a deployment up while there is only the first node; the other one is there then. @returns its id. */
async function aRunning(spec: DeploymentSpec): Promise<string> {
  const store = createDeploymentStore(database.db, { domain: 'example.test', placement: RULES });
  const creation = aCreation(await aTenant(database.db), { spec });
  const { deploymentId } = creation;
  await rollOut(store, deploymentId, await store.storeOperation(creation));
  await database.db.updateTable('replicas').set({ state: 'healthy' }).execute();
  return deploymentId;
}

/** Half a GiB each: a web service of two replicas, and another one. */
function aFile(volumes: readonly VolumeMount[] = []): ComposeSpec {
  const { rollout, placement: _, ...parts } = aSpec({ limits: { cpuCores: 0.1, memoryBytes: GIB / 2 } });
  const service = (name: string, replicas: number) => {
    return { ...parts, name, replicas, container: PLAIN_CONTAINER, needs: [] };
  };
  return { services: [service('web', 2), { ...service('db', 1), volumes }], rollout, warnings: [] };
}

async function plan(): Promise<RebalancePlan> {
  await setCordoned(database.db, 'host-000b', false);
  return await readRebalancePlan(database.db, { moves: 200 }, RULES);
}

describe('a plan of what is stored', () => {
  it('takes all services of a file at once, and none where one has a volume', async () => {
    const limits = { cpuCores: 0.1, memoryBytes: GIB / 2 };
    await aRunning(aSpec({ limits, replicas: 1, volumes: [{ volume: 'one', path: '/data', readOnly: false }] }));
    await aRunning(aFile([{ volume: 'two', path: '/data', readOnly: false }]));
    expect((await plan()).moves).toEqual([]);
    await setCordoned(database.db, 'host-000b', true);
    const deploymentId = await aRunning(aFile());
    expect((await plan()).moves).toMatchObject([
      { deploymentId, from: 'host-000a', to: 'host-000b', replicas: 3, isWhole: true },
    ]);
  });

  it('has nothing left once it is carried out', async () => {
    const deploymentId = await aRunning(aSpec({ replicas: 4, limits: { cpuCores: 0.1, memoryBytes: GIB / 2 } }));
    const { moves, more } = await plan();
    expect(moves).toMatchObject([{ deploymentId, replicas: 2, isWhole: false }]);
    expect(more).toBe(false);
    const ids = await database.db.selectFrom('replicas').select('replica_id').limit(2).execute();
    await database.db
      .updateTable('replicas')
      .set({ node_id: 'host-000b' })
      .where(
        'replica_id',
        'in',
        ids.map(({ replica_id }) => replica_id),
      )
      .execute();
    expect(await plan()).toMatchObject({ moves: [], more: false, imbalance: { before: 0, after: 0 } });
  });

  it('is empty where there is no node, and none that is ready', async () => {
    await aRunning(aSpec());
    await database.db.updateTable('nodes').set({ state: 'lost' }).execute();
    expect(await plan()).toMatchObject({ moves: [], nodes: [], more: false, imbalance: { before: 0, after: 0 } });
  });
});

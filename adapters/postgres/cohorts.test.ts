import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { OperationRequest } from '../../contracts/deployment.ts';
import type { Cohort } from '../../contracts/rollout.ts';
import { type ComposeSpec, PLAIN_CONTAINER } from '../../domain/spec.ts';
import { aDeployRequest, aRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, rollOut, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';

const database = useTestDatabase();

let store: StoreActivities;
beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  await aReadyNode(database.db);
});

/** An application of two services; each is another one when its command is. */
function aShop(commands: { readonly app: string; readonly db: string }): ComposeSpec {
  const { rollout, ...parts } = aSpec();
  const services = Object.entries(commands).map(([name, command]) => {
    return { ...parts, name, command: [command], container: PLAIN_CONTAINER, needs: [] };
  });
  return { services, rollout, warnings: [] };
}

async function aRunningShop() {
  const first = aShop({ app: 'app 1', db: 'db 1' });
  const creation = aCreation(await aTenant(database.db), { spec: first });
  const { deploymentId } = creation;
  const ask = async (request: OperationRequest) => await store.storeOperation({ ...creation, request });
  const deploy = async (spec: ComposeSpec) => await ask(aDeployRequest({ createAs: null, spec }));
  /** The cohort of everything that the operation plans to run, which is one. */
  const carryOut = async (accepted: Awaited<ReturnType<typeof ask>>): Promise<Cohort | undefined> => {
    const { services } = await rollOut(store, deploymentId, accepted);
    const [cohort] = services.map(({ template }) => template.cohort);
    for (const { template } of services) expect(template.cohort).toEqual(cohort);
    return cohort;
  };
  const cohort = await carryOut(await store.storeOperation(creation));
  return { deploymentId, cohort, ask, deploy, carryOut };
}

describe('the cohort of several services', () => {
  it('is new where all of them are replaced, and has all of their names', async () => {
    const { cohort, deploy, ask, carryOut } = await aRunningShop();
    expect(cohort).toEqual({ number: expect.any(Number), services: ['app', 'db'] });
    const second = await carryOut(await deploy(aShop({ app: 'app 2', db: 'db 2' })));
    const third = await carryOut(await ask(aRequest({ kind: 'restart' })));
    expect(new Set([cohort, second, third].map((one) => one?.number)).size).toBe(3);
  });

  it('stays where one of them stays, and where nothing but their number changes', async () => {
    const { cohort, deploy, ask, carryOut } = await aRunningShop();
    expect(await carryOut(await deploy(aShop({ app: 'app 2', db: 'db 1' })))).toEqual(cohort);
    expect(await carryOut(await ask(aRequest({ kind: 'scale', service: 'app', replicas: 2 })))).toEqual(cohort);
    const after = await carryOut(await deploy(aShop({ app: 'app 3', db: 'db 3' })));
    expect(after?.number).not.toBe(cohort?.number);
    expect(await carryOut(await deploy(aShop({ app: 'app 4', db: 'db 3' })))).toEqual(after);
  });

  it('is the old one again when an operation goes back, and the same when it is asked for twice', async () => {
    const { deploymentId, cohort, deploy, carryOut } = await aRunningShop();
    const { operationId } = await deploy(aShop({ app: 'app 2', db: 'db 2' }));
    const ref = { deploymentId, operationId };
    const plan = await store.beginRollout(ref);
    expect((await store.beginRollout(ref)).services).toEqual(plan.services);
    const back = await store.planReturn({ ...ref, unused: [] });
    expect(back.services.map(({ template }) => template.cohort)).toEqual([cohort, cohort]);
    const unused = plan.reserved.map(({ replicaId }) => replicaId);
    await store.planReturn({ ...ref, unused });
    await store.failOperation({ ...ref, failure: { code: 'REPLICA_EXITED', message: 'exited', hint: '' } });
    expect(await carryOut(await deploy(aShop({ app: 'app 3', db: 'db 1' })))).toEqual(cohort);
  });

  it('is none for a service that is alone, also after it was one of several', async () => {
    const { deploymentId, ask } = await aRunningShop();
    const request = aDeployRequest({ createAs: null, spec: aSpec() });
    const { services } = await rollOut(store, deploymentId, await ask(request));
    expect(services.map(({ template }) => template.cohort)).toEqual([undefined]);
    const alone = aSpec({ command: ['app 9'] });
    await rollOut(store, deploymentId, await ask(aDeployRequest({ createAs: null, spec: alone })));
    const again = aDeployRequest({ createAs: null, spec: aShop({ app: 'app 9', db: 'db 9' }) });
    const plan = await rollOut(store, deploymentId, await ask(again));
    expect(plan.reserved.map(({ service }) => service).toSorted()).toEqual(['app', 'db']);
  });
});

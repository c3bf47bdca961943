import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import { aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, rollOut, type Tenant, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { mayReadContext } from './build-contexts.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { listDeployments } from './deployments.ts';
import { listEvents } from './events.ts';
import { findBuiltService, findHeldService } from './held-service.ts';
import { enrolNode, findNode, listNodes, listNodesOfDeployment } from './nodes.ts';
import { findOperationByKey } from './operations.ts';
import { listRoutes } from './routes.ts';

const database = useTestDatabase();
const GIB = 1024 ** 3;

let store: StoreActivities;
let tenant: Tenant;

beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  tenant = await aTenant(database.db);
});

async function aDeployment(name: string, changes: Parameters<typeof aSpec>[0] = {}) {
  const creation = aCreation(tenant, { createAs: name, spec: aSpec(changes) });
  await rollOut(store, creation.deploymentId, await store.storeOperation(creation));
  return creation;
}

describe('deployments', () => {
  it('are listed page by page, without those of others', async () => {
    await aReadyNode(database.db);
    const names = ['one', 'two', 'three', 'four', 'five'];
    for (const name of names) await aDeployment(name);
    const { organizationId } = tenant;
    tenant = await aTenant(database.db);
    await aDeployment('foreign');

    const all = await listDeployments(database.db, { organizationId, limit: 100 });
    expect(all.map((deployment) => deployment.name)).toEqual(names);
    const first = await listDeployments(database.db, { organizationId, limit: 2 });
    const rest = await listDeployments(database.db, { organizationId, limit: 100, after: first[1] });
    expect([...first, ...rest]).toEqual(all);
    expect(all[0]).toMatchObject({
      serving: { revision: 1 },
      goal: [{ name: 'app', revision: 1, replicas: 1 }],
      replicas: [{ service: 'app', revision: 1, state: 'healthy', exitCode: null }],
      hostnames: ['one.example.test'],
      operation: { kind: 'deploy', state: 'succeeded' },
    });
  });

  it('are found by project and by name', async () => {
    await aReadyNode(database.db);
    await aDeployment('one');
    await aDeployment('two');
    const { organizationId, projectId } = tenant;
    const named = await listDeployments(database.db, { organizationId, name: 'two', limit: 10 });
    expect(named.map((deployment) => deployment.name)).toEqual(['two']);
    const other = (await aTenant(database.db)).projectId;
    expect(await listDeployments(database.db, { organizationId, projectId, limit: 10 })).toHaveLength(2);
    expect(await listDeployments(database.db, { organizationId, projectId: other, limit: 10 })).toEqual([]);
  });

  it('have operations that are found by their key, and events after a sequence', async () => {
    await aReadyNode(database.db);
    const { deploymentId, organizationId, request } = await aDeployment('one');
    const { idempotencyKey } = request;
    expect(await findOperationByKey(database.db, { organizationId, idempotencyKey })).toMatchObject({
      ...{ id: request.operationId, deploymentId, deploymentName: 'one', requestHash: request.requestHash },
      errorCode: '',
    });
    const elsewhere = { organizationId: (await aTenant(database.db)).organizationId, idempotencyKey };
    expect(await findOperationByKey(database.db, elsewhere)).toBeUndefined();
    const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 3 });
    expect(events).toHaveLength(3);
    const afterSequence = events[1]?.sequence ?? 0;
    const rest = await listEvents(database.db, { deploymentId, afterSequence, limit: 100 });
    expect(rest[0]).toEqual(events[2]);
  });
});

describe('nodes', () => {
  it('tell what is reserved on them', async () => {
    const nodeId = await aReadyNode(database.db, { nodeId: 'node-aaaa' });
    await aReadyNode(database.db, { nodeId: 'node-bbbb', cpuCores: 1, memoryBytes: GIB });
    const limits = { cpuCores: 0.5, memoryBytes: 3 * GIB };
    const { deploymentId } = await aDeployment('one', { replicas: 2, limits });
    expect(await findNode(database.db, nodeId)).toMatchObject({
      ...{ state: 'ready', reservedCpuCores: 1, reservedMemoryBytes: 6 * GIB, replicas: 2, memoryBytes: 64 * GIB },
      signingJwk: { kty: 'EC', x: nodeId },
    });
    expect(await listNodes(database.db, { limit: 1, afterId: nodeId })).toMatchObject([
      { nodeId: 'node-bbbb', reservedCpuCores: 0, reservedMemoryBytes: 0, replicas: 0 },
    ]);
    expect((await listNodesOfDeployment(database.db, deploymentId)).map((node) => node.nodeId)).toEqual([nodeId]);
    expect(await findNode(database.db, 'node-unknown')).toBeUndefined();
  });

  it('enrol as lost, and again with new facts but never with other keys', async () => {
    const nodeId = 'node-cccc';
    const node = {
      ...{ nodeId, hostname: 'host', cpuCores: 4, memoryBytes: GIB, dockerVersion: '28', architecture: 'amd64' },
      ...{
        address: '10.0.0.1',
        gatewayUrl: 'http://10.0.0.1:1',
        streamerUrl: 'http://10.0.0.1:2',
        labels: {},
        leaseMs: 1000,
      },
      signingJwk: { kty: 'EC', x: 'one', y: 'two' },
      encryptionJwk: { kty: 'EC', x: 'three', y: 'four' },
    };
    await enrolNode(database.db, node);
    expect(await findNode(database.db, nodeId)).toMatchObject({ state: 'lost', cpuCores: 4 });
    await store.recordNodeState({ nodeId, state: 'ready', reason: '' });
    await enrolNode(database.db, { ...node, cpuCores: 8, signingJwk: { y: 'two', x: 'one', kty: 'EC' } });
    expect(await findNode(database.db, nodeId)).toMatchObject({ state: 'ready', cpuCores: 8 });
    const impostor = { ...node, cpuCores: 1, signingJwk: { kty: 'EC', x: 'evil', y: 'two' } };
    await expect(enrolNode(database.db, impostor)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await findNode(database.db, nodeId)).toMatchObject({ cpuCores: 8 });
    const secret = { ...node, nodeId: 'node-dddd', signingJwk: { kty: 'EC', d: 'private' } };
    await expect(enrolNode(database.db, secret)).rejects.toMatchObject({ code: '23514' });
  });

  it('read what they need for the replicas that they hold, and nothing else', async () => {
    const nodeId = await aReadyNode(database.db);
    const environment = [{ name: 'KEY', sealed: 'v1.sealed', fingerprint: '0123456789ab' }];
    const source = { kind: 'dockerfile', contextSha256: 'c'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
    const { deploymentId, organizationId } = await aDeployment('one', { environment, source });
    const other = await aReadyNode(database.db);

    const held = { deploymentId, revision: 1, service: 'app', nodeId };
    for (const find of [findHeldService, findBuiltService]) {
      expect(await find(database.db, held)).toMatchObject({ organizationId, service: { environment, source } });
      expect(await find(database.db, { ...held, revision: 2 })).toBeUndefined();
      expect(await find(database.db, { ...held, service: 'db' })).toBeUndefined();
      expect(await find(database.db, { ...held, nodeId: other })).toBeUndefined();
    }
    const context = { deploymentId, sha256: 'c'.repeat(64), nodeId };
    expect(await mayReadContext(database.db, context)).toBe(true);
    expect(await mayReadContext(database.db, { ...context, sha256: 'd'.repeat(64) })).toBe(false);
    expect(await mayReadContext(database.db, { ...context, nodeId: other })).toBe(false);
  });
});

describe('routes', () => {
  it('are listed by hostname with the replicas that serve', async () => {
    await aReadyNode(database.db);
    await aDeployment('web', { replicas: 2 });
    await aDeployment('api');
    const { organizationId } = tenant;
    const routes = await listRoutes(database.db, { organizationId, limit: 10 });
    expect(routes).toMatchObject([
      { hostname: 'api.example.test', revision: 1, upstreams: [{ host: '127.0.0.1', port: 32_768 }] },
      { hostname: 'web.example.test', upstreams: [{ port: 32_768 }, { port: 32_769 }] },
    ]);
    const afterHostname = 'api.example.test';
    expect(await listRoutes(database.db, { organizationId, limit: 10, afterHostname })).toEqual(routes.slice(1));
  });

  it('have a hostname that is safe in a rule: the database refuses any other', async () => {
    await aReadyNode(database.db);
    const { deploymentId, organizationId } = await aDeployment('web');
    for (const hostname of ['Web.example.test', 'a`b.example.test', 'web', 'web.example.test.', '*.example.test', '']) {
      const insert = database.db.insertInto('routes').values({
        id: deploymentId,
        organization_id: organizationId,
        deployment_id: deploymentId,
        service: 'db',
        hostname,
      });
      await expect(insert.execute()).rejects.toMatchObject({ code: '23514' });
    }
  });
});

import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNodes } from '../../adapters/postgres/nodes.ts';
import { ONLY_SERVICE, servicesOf } from '../../domain/spec.ts';
import {
  DeploymentStatus,
  OperationKind,
  OperationState,
  type WatchDeploymentResponse,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { type DeploymentSpecSchema, PullPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { NOTHING_LEFT } from '../../test/support/control-data.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';
import { variablePlace } from '../secret-places.ts';

type Spec = MessageInitShape<typeof DeploymentSpecSchema>;
type User = Awaited<ReturnType<ApiRig['user']>>;

const CANARY = 'canary-5e2f8a1c';

let rig: ApiRig;
let alice: User;
let mallory: User;

function aSpec(changes: Spec = {}): Spec {
  return { source: { case: 'image', value: { reference: 'nginx:1' } }, port: 8080, ...changes };
}

function aCreation(changes: { name?: string; spec?: Spec; idempotencyKey?: string; projectId?: string } = {}) {
  const name = `app-${randomUUID().slice(0, 8)}`;
  return { idempotencyKey: randomUUID(), projectId: alice.projectId, name, spec: aSpec(), ...changes };
}

async function create(changes: Parameters<typeof aCreation>[0] = {}) {
  const { deployment } = await alice.deployments.createDeployment(aCreation(changes));
  if (!deployment) throw new Error('no deployment was answered');
  return deployment;
}

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  mallory = await rig.user('mallory');
});
afterAll(() => rig.stop());

describe('creating a deployment', () => {
  it('answers with the deployment as it stands, without values of variables', async () => {
    const environment = [{ name: 'TOKEN', value: CANARY }];
    const deployment = await create({ name: 'hello', spec: aSpec({ environment, replicas: 2 }) });
    expect(deployment).toMatchObject({
      organizationId: alice.organizationId,
      projectId: alice.projectId,
      name: 'hello',
      status: DeploymentStatus.CREATED,
      revision: 1,
      servingRevision: 0,
      urls: ['http://hello.localhost:8080'],
      operation: { kind: OperationKind.DEPLOY, state: OperationState.QUEUED, revision: 1 },
      spec: {
        replicas: 2,
        port: 8080,
        environment: [{ name: 'TOKEN', fingerprint: expect.stringMatching(/^[0-9a-f]{12}$/) }],
      },
    });
    expect(JSON.stringify(deployment, (_, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
      CANARY,
    );
  });

  it.each([PullPolicy.ALWAYS, PullPolicy.IF_NOT_PRESENT, PullPolicy.UNSPECIFIED])(
    'keeps the policy by which its image is pulled: %s',
    async (pullPolicy) => {
      const spec = aSpec({ source: { case: 'image', value: { reference: 'nginx:1', pullPolicy } } });
      const { id } = await create({ spec });
      const { deployment } = await alice.deployments.getDeployment({ deploymentId: id });
      expect(deployment?.spec?.source.value).toMatchObject({ reference: 'nginx:1', pullPolicy });
    },
  );

  it('refuses a policy that there is not', async () => {
    const spec = aSpec({ source: { case: 'image', value: { reference: 'nginx:1', pullPolicy: 9 as PullPolicy } } });
    const refusal = await refusalOf(alice.deployments.createDeployment(aCreation({ spec })));
    expect(refusal).toMatchObject({ code: 'InvalidArgument', field: 'spec.image.pull_policy' });
  });

  it('stores values sealed only', async () => {
    const { id } = await create({ spec: aSpec({ environment: [{ name: 'TOKEN', value: CANARY }] }) });
    const revision = await rig.db
      .selectFrom('revisions')
      .selectAll()
      .where('deployment_id', '=', id)
      .executeTakeFirstOrThrow();
    expect(JSON.stringify(revision)).not.toContain(CANARY);
    const { name = '', version, sealed = '' } = servicesOf(revision.spec)[0]?.environment[0] ?? {};
    const { organizationId } = alice;
    const at = { organizationId, deploymentId: id, service: ONLY_SERVICE, isBuildArgument: false };
    expect(await rig.sealing.open({ ...variablePlace(at, { name }), version, sealed })).toBe(CANARY);
  });

  it('answers a repeated call alike, whatever has changed since, even while workflows are away', async () => {
    const creation = aCreation({ spec: aSpec({ environment: [{ name: 'A', value: 'x' }] }) });
    const [first, second] = await Promise.all([1, 2].map(() => alice.deployments.createDeployment(creation)));
    expect(second?.deployment?.id).toBe(first?.deployment?.id);
    rig.world.workflowsAway = true;
    const third = await alice.deployments.createDeployment(creation);
    rig.world.workflowsAway = false;
    expect(third.deployment?.operation?.id).toBe(first?.deployment?.operation?.id);
  });

  it.each<[string, (creation: ReturnType<typeof aCreation>) => object]>([
    ['another name', (creation) => ({ ...creation, name: 'other' })],
    [
      'another image',
      (creation) => ({ ...creation, spec: aSpec({ source: { case: 'image', value: { reference: 'nginx:2' } } }) }),
    ],
    ['another value', (creation) => ({ ...creation, spec: aSpec({ environment: [{ name: 'A', value: 'y' }] }) })],
  ])('refuses the same key with %s', async (_, change) => {
    const creation = aCreation({ spec: aSpec({ environment: [{ name: 'A', value: 'x' }] }) });
    await alice.deployments.createDeployment(creation);
    expect(await refusalOf(alice.deployments.createDeployment(change(creation)))).toMatchObject({
      ...{ code: 'AlreadyExists', error: 'IDEMPOTENCY_CONFLICT', field: 'idempotency_key' },
    });
  });

  it('refuses a name that the project has', async () => {
    await create({ name: 'taken' });
    expect(await refusalOf(create({ name: 'taken' }))).toMatchObject({
      ...{ code: 'AlreadyExists', error: 'NAME_TAKEN', field: 'name' },
    });
  });

  const bad: [field: string, code: string, changes: Parameters<typeof aCreation>[0]][] = [
    ['name', 'InvalidArgument', { name: '' }],
    ['name', 'InvalidArgument', { name: 'a' }],
    ['name', 'InvalidArgument', { name: 'a'.repeat(10_000) }],
    ['name', 'InvalidArgument', { name: 'not_dns.name' }],
    ['idempotency_key', 'InvalidArgument', { idempotencyKey: '' }],
    ['spec.port', 'InvalidArgument', { spec: aSpec({ port: 0 }) }],
    ['spec.port', 'InvalidArgument', { spec: aSpec({ port: 70_000 }) }],
    ['spec.replicas', 'InvalidArgument', { spec: aSpec({ replicas: 10_001 }) }],
    ['spec.limits.memory_bytes', 'InvalidArgument', { spec: aSpec({ limits: { memoryBytes: 1024n } }) }],
    ['spec.environment[0].name', 'InvalidArgument', { spec: aSpec({ environment: [{ name: 'A=B', value: 'x' }] }) }],
    ['spec.environment[0].name', 'InvalidArgument', { spec: aSpec({ environment: [{ name: 'A\0', value: 'x' }] }) }],
    ['spec.environment[0].name', 'InvalidArgument', { spec: aSpec({ environment: [{ name: 'A\n', value: 'x' }] }) }],
    ['spec.environment[0].value', 'InvalidArgument', { spec: aSpec({ environment: [{ name: 'A' }] }) }],
    [
      'spec.environment',
      'InvalidArgument',
      {
        spec: aSpec({
          environment: Array.from({ length: 60 }, (_, i) => ({ name: `A${i}`, value: 'x'.repeat(50_000) })),
        }),
      },
    ],
    [
      'spec.health_check.http.path',
      'InvalidArgument',
      { spec: aSpec({ healthCheck: { kind: { case: 'http', value: { path: 'x' } } } }) },
    ],
    [
      'spec.image.reference',
      'InvalidArgument',
      { spec: aSpec({ source: { case: 'image', value: { reference: 'localhost/x' } } }) },
    ],
    [
      'spec.dockerfile.context_sha256',
      'InvalidArgument',
      { spec: aSpec({ source: { case: 'dockerfile', value: { contextSha256: 'a'.repeat(64) } } }) },
    ],
    ['', 'NotFound', { projectId: randomUUID() }],
  ];
  it.each(bad)('is refused for %s with %s, and stores nothing', async (field, code, changes) => {
    const before = await countRows();
    const refusal = await refusalOf(alice.deployments.createDeployment(aCreation(changes)));
    expect(refusal).toMatchObject({ code, field });
    expect(refusal.message.length).toBeLessThan(500);
    expect(await countRows()).toEqual(before);
  });

  it('is accepted once it is stored, although workflows are away', async () => {
    rig.world.workflowsAway = true;
    const { id } = await create().finally(() => {
      rig.world.workflowsAway = false;
    });
    expect((await alice.deployments.getDeployment({ deploymentId: id })).deployment?.status).toBe(
      DeploymentStatus.CREATED,
    );
  });

  it('refuses a replica that is larger than every node, naming what each has free', async () => {
    await rig.clientOf(ControlService, '').enrolNode(anEnrolment({ nodeId: 'node-small', memoryBytes: 1024n ** 3n }));
    expect((await listNodes(rig.db, { limit: 10 })).length).toBe(1);
    const refusal = await refusalOf(create({ spec: aSpec({ limits: { memoryBytes: 2n * 1024n ** 3n } }) }));
    expect(refusal).toMatchObject({ code: 'ResourceExhausted', error: 'INSUFFICIENT_CAPACITY' });
    expect(refusal).toMatchObject({ field: 'spec.limits.memory_bytes' });
    expect(refusal.message).toContain('node-small has 16 cores and 1.0 GiB free of 1.0 GiB');
    const wide = await refusalOf(
      create({ spec: aSpec({ limits: { cpuCores: 64, memoryBytes: 512n * 1024n ** 2n } }) }),
    );
    expect(wide).toMatchObject({ code: 'ResourceExhausted', field: 'spec.limits.cpu_cores' });
    expect(wide.message).toContain('one replica wants 64 cores and 512 MiB');
  });
});

describe('updating a deployment', () => {
  it('makes a new revision and keeps the variables that are sent without a value', async () => {
    const environment = [
      { name: 'A', value: 'one' },
      { name: 'B', value: 'two' },
    ];
    const before = await create({ spec: aSpec({ environment }) });
    const update = {
      idempotencyKey: randomUUID(),
      deploymentId: before.id,
      spec: aSpec({ environment: [{ name: 'B' }], replicas: 3 }),
    };
    const { deployment } = await alice.deployments.updateDeployment(update);
    expect(deployment).toMatchObject({
      revision: 2,
      spec: { replicas: 3, environment: [before.spec?.environment[1]] },
    });
    expect((await alice.deployments.updateDeployment(update)).deployment?.operation?.id).toBe(
      deployment?.operation?.id,
    );
  });

  it('refuses to keep a variable that there is not', async () => {
    const { id } = await create();
    const update = { idempotencyKey: randomUUID(), deploymentId: id, spec: aSpec({ environment: [{ name: 'NEW' }] }) };
    expect(await refusalOf(alice.deployments.updateDeployment(update))).toMatchObject({
      ...{ code: 'InvalidArgument', field: 'spec.environment[0].value' },
    });
  });
});

describe('deleting a deployment', () => {
  it('is an operation that a repeated call finds, after the deployment is gone as well', async () => {
    const { id } = await create();
    const deletion = { idempotencyKey: randomUUID(), deploymentId: id };
    const { operation } = await alice.deployments.deleteDeployment(deletion);
    expect(operation).toMatchObject({ kind: OperationKind.DELETE, state: OperationState.QUEUED, revision: 0 });
    await removeForGood(id, operation?.id ?? '');
    expect((await alice.deployments.deleteDeployment(deletion)).operation).toMatchObject({
      id: operation?.id,
      state: OperationState.SUCCEEDED,
    });
    expect(await refusalOf(alice.deployments.getDeployment({ deploymentId: id }))).toMatchObject({ code: 'NotFound' });
  });
});

describe('reading deployments', () => {
  it('pages through all of them, once each, in the order of their creation', async () => {
    const bob = await rig.user('bob');
    const names = ['one', 'two', 'three', 'four', 'five'];
    for (const name of names) await bob.deployments.createDeployment(aCreation({ name, projectId: bob.projectId }));
    const found: string[] = [];
    let token = '';
    do {
      const answer = await bob.deployments.listDeployments({
        organizationId: bob.organizationId,
        page: { size: 2, token },
      });
      found.push(...answer.deployments.map(({ name }) => name));
      token = answer.page?.nextToken ?? '';
      if (found.length === 2) {
        const other = { organizationId: bob.organizationId, projectId: bob.projectId, page: { token } };
        expect(await refusalOf(bob.deployments.listDeployments(other))).toMatchObject({ field: 'page.token' });
      }
    } while (token !== '');
    expect(found).toEqual(names);
    const byName = await bob.deployments.listDeployments({ organizationId: bob.organizationId, name: 'three' });
    expect(byName.deployments.map(({ name }) => name)).toEqual(['three']);
  });

  it('answers for a deployment of somebody else exactly as for one that does not exist', async () => {
    const { id } = await create();
    const foreign = await refusalOf(mallory.deployments.getDeployment({ deploymentId: id }));
    expect(foreign).toEqual(await refusalOf(mallory.deployments.getDeployment({ deploymentId: randomUUID() })));
    expect(foreign.code).toBe('NotFound');
  });

  it('answers a UUID in upper case like the same in lower case', async () => {
    const { id } = await create();
    expect((await alice.deployments.getDeployment({ deploymentId: id.toUpperCase() })).deployment?.id).toBe(id);
  });
});

describe('watching a deployment', () => {
  it('sends what happened, then what happens, heartbeats between, and ends when it is deleted', async () => {
    const { id, operation } = await create();
    const events = alice.deployments.watchDeployment({ deploymentId: id })[Symbol.asyncIterator]();
    const next = async () => ((await events.next()) as IteratorYieldResult<WatchDeploymentResponse>).value;
    const first = await next();
    expect(first).toMatchObject({
      event: { kind: 'operation.queued', operationId: operation?.id },
      deployment: { id },
    });
    expect(await next()).toMatchObject({ sequence: 0n });
    const failure = { code: 'NO_NODE_READY', message: 'no node is ready', hint: '' };
    await rig.store.failOperation({ deploymentId: id, operationId: operation?.id ?? '', failure });
    const failed = await nextEvent(next);
    expect(failed).toMatchObject({
      event: { kind: 'operation.failed' },
      deployment: { status: DeploymentStatus.FAILED },
    });
    expect(failed.sequence).toBeGreaterThan(first.sequence);

    const { operation: removal } = await alice.deployments.deleteDeployment({
      idempotencyKey: randomUUID(),
      deploymentId: id,
    });
    await removeForGood(id, removal?.id ?? '');
    const rest: string[] = [];
    for (let step = await events.next(); !step.done; step = await events.next())
      rest.push(step.value.event?.kind ?? '');
    expect(rest.filter((kind) => kind !== '').at(-1)).toBe('operation.succeeded');

    const resumed = alice.deployments.watchDeployment({ deploymentId: id, afterSequence: failed.sequence });
    const kinds: string[] = [];
    for await (const { event } of resumed) kinds.push(event?.kind ?? '');
    expect(kinds).toEqual(rest.filter((kind) => kind !== ''));
  });

  it('stops listening when its reader leaves', async () => {
    const { id } = await create();
    const leave = new AbortController();
    const events = alice.deployments
      .watchDeployment({ deploymentId: id }, { signal: leave.signal })
      [Symbol.asyncIterator]();
    await events.next();
    leave.abort();
    await expect(events.next()).rejects.toMatchObject({ rawMessage: expect.stringContaining('abort') });
  });
});

async function nextEvent(next: () => Promise<WatchDeploymentResponse>): Promise<WatchDeploymentResponse> {
  for (;;) {
    const message = await next();
    if (message.event) return message;
  }
}

/** Carries a removal out, as the workflow does. */
async function removeForGood(deploymentId: string, operationId: string): Promise<void> {
  await rig.store.beginRemoval({ deploymentId, operationId });
  await rig.store.purgeDeployment({ deploymentId, operationId, ...NOTHING_LEFT });
}

async function countRows(): Promise<unknown> {
  const count = (table: 'deployments' | 'operations' | 'deployment_events' | 'routes') =>
    rig.db
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('rows'))
      .executeTakeFirstOrThrow();
  return await Promise.all((['deployments', 'operations', 'deployment_events', 'routes'] as const).map(count));
}

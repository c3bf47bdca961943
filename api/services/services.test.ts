import { randomUUID } from 'node:crypto';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDrainRecords } from '../../adapters/postgres/drains.ts';
import { decryptEnvironment } from '../../adapters/tokens/environment-envelope.ts';
import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { DomainError } from '../../domain/errors.ts';
import { type SealedVariable, type ServiceSpec, servicesOf } from '../../domain/spec.ts';
import { IdentityService } from '../../gen/obiente/cloud/v1/identity_pb.ts';
import { LogsService } from '../../gen/obiente/cloud/v1/logs_pb.ts';
import { DrainState, NodeState, NodesService } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { OrganizationsService } from '../../gen/obiente/cloud/v1/organizations_pb.ts';
import { ProjectsService } from '../../gen/obiente/cloud/v1/projects_pb.ts';
import { RoutesService } from '../../gen/obiente/cloud/v1/routes_pb.ts';
import { SourcesService } from '../../gen/obiente/cloud/v1/sources_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { aStarted } from '../../test/support/control-data.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';
import { variablePlace } from '../secret-places.ts';

const NODE = 'node-00000001';

type Variables = { readonly name: string; readonly value?: string }[];

let rig: ApiRig;
let alice: Awaited<ReturnType<ApiRig['user']>>;
const keys = generateNodeKeys();

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  await rig.clientOf(ControlService, '').enrolNode(anEnrolment({ ...publicKeys(), nodeId: NODE }));
  await rig.store.recordNodeState({ nodeId: NODE, state: 'ready', reason: '' });
});
afterAll(() => rig.stop());

function publicKeys() {
  return {
    signingJwk: JSON.stringify(keys.signing.publicJwk),
    encryptionJwk: JSON.stringify(keys.encryption.publicJwk),
  };
}

/** A deployment whose replicas serve on the node. */
async function aServing(name: string, { replicas = 1, variables = {} as Record<string, string>, context = '' } = {}) {
  const environment = Object.entries(variables).map(([key, value]) => ({ name: key, value }));
  const source = context
    ? ({ case: 'dockerfile', value: { contextSha256: context } } as const)
    : ({ case: 'image', value: { reference: 'nginx:1' } } as const);
  const { deployment } = await alice.deployments.createDeployment({
    ...{ idempotencyKey: randomUUID(), projectId: alice.projectId, name },
    spec: { source, port: 8080, replicas, environment },
  });
  const deploymentId = deployment?.id ?? '';
  const ref = { deploymentId, operationId: deployment?.operation?.id ?? '' };
  const { reserved } = await rig.store.beginRollout(ref);
  const serve = reserved.map(({ replicaId }, index) => ({
    ...aStarted(replicaId, 40_000 + index),
    containerId: `${index}`.repeat(64),
  }));
  await rig.store.switchRoutes({ ...ref, serve, resume: [], drain: [], weight: null });
  await rig.store.finishOperation(ref);
  return { deploymentId, replicaIds: reserved.map(({ replicaId }) => replicaId) };
}

describe('identity', () => {
  it('tells who calls, with a personal organization from the first call on', async () => {
    const who = await rig.clientOf(IdentityService, 'newcomer').whoAmI({});
    expect(who).toMatchObject({
      subject: 'newcomer',
      email: 'newcomer@example.test',
      memberships: [{ role: 'owner' }],
    });
    expect((await rig.clientOf(IdentityService, 'newcomer').whoAmI({})).userId).toBe(who.userId);
  });
});

describe('organizations', () => {
  it('are created once for a key, with their creator as owner', async () => {
    const organizations = rig.clientOf(OrganizationsService, 'alice');
    const creation = { idempotencyKey: randomUUID(), name: 'acme' };
    const { organization } = await organizations.createOrganization(creation);
    expect((await organizations.createOrganization(creation)).organization?.id).toBe(organization?.id);
    expect(await organizations.getOrganization({ organizationId: organization?.id ?? '' })).toMatchObject({
      organization: { name: 'acme' },
    });
    expect(await refusalOf(organizations.createOrganization({ ...creation, name: 'acme-2' }))).toMatchObject({
      error: 'IDEMPOTENCY_CONFLICT',
    });
    const again = { idempotencyKey: randomUUID(), name: 'acme' };
    expect(await refusalOf(organizations.createOrganization(again))).toMatchObject({
      error: 'NAME_TAKEN',
      field: 'name',
    });
  });

  it("are listed page by page, only the caller's own", async () => {
    const organizations = rig.clientOf(OrganizationsService, 'carol');
    for (const name of ['carol-1', 'carol-2'])
      await organizations.createOrganization({ idempotencyKey: randomUUID(), name });
    const first = await organizations.listOrganizations({ page: { size: 2 } });
    const second = await organizations.listOrganizations({ page: { size: 2, token: first.page?.nextToken ?? '' } });
    expect([...first.organizations, ...second.organizations].map(({ name }) => name)).toEqual([
      'carol',
      'carol-1',
      'carol-2',
    ]);
    expect(second.page?.nextToken).toBe('');
    const token = first.page?.nextToken ?? '';
    expect(
      await refusalOf(rig.clientOf(OrganizationsService, 'alice').listOrganizations({ page: { token } })),
    ).toMatchObject({ field: 'page.token' });
  });
});

describe('projects', () => {
  it('are created, found, listed and, when they are empty, deleted', async () => {
    const projects = rig.clientOf(ProjectsService, 'alice');
    const creation = { idempotencyKey: randomUUID(), organizationId: alice.organizationId, name: 'side' };
    const projectId = (await projects.createProject(creation)).project?.id ?? '';
    expect(await projects.getProject({ projectId })).toMatchObject({
      project: { name: 'side', organizationId: alice.organizationId },
    });
    const { projects: listed } = await projects.listProjects({ organizationId: alice.organizationId });
    expect(listed.map(({ name }) => name)).toEqual(['default', 'side']);
    const deletion = { idempotencyKey: randomUUID(), projectId };
    await projects.deleteProject(deletion);
    await projects.deleteProject(deletion);
    expect(await refusalOf(projects.getProject({ projectId }))).toMatchObject({ code: 'NotFound' });
  });

  it('with deployments are not deleted', async () => {
    await aServing('keeps-it');
    const deletion = { idempotencyKey: randomUUID(), projectId: alice.projectId };
    expect(await refusalOf(rig.clientOf(ProjectsService, 'alice').deleteProject(deletion))).toMatchObject({
      ...{ code: 'FailedPrecondition', error: 'PROJECT_NOT_EMPTY' },
    });
  });
});

describe('nodes and routes', () => {
  it('are told with what is reserved and where requests go', async () => {
    const { deploymentId } = await aServing('routed', { replicas: 2 });
    const nodes = rig.clientOf(NodesService, 'alice');
    const { node } = await nodes.getNode({ nodeId: NODE });
    expect(node).toMatchObject({ id: NODE, state: NodeState.READY, cpuCores: 16, memoryBytes: 64n * 1024n ** 3n });
    expect(node?.replicas).toBeGreaterThanOrEqual(2);
    expect((await nodes.listNodes({})).nodes.map(({ id }) => id)).toEqual([NODE]);
    expect(await refusalOf(nodes.getNode({ nodeId: 'node-unknown' }))).toMatchObject({ code: 'NotFound' });
    expect(await refusalOf(nodes.getNode({ nodeId: '\0' }))).toMatchObject({
      code: 'InvalidArgument',
      field: 'node_id',
    });

    const { routes } = await rig.clientOf(RoutesService, 'alice').listRoutes({ organizationId: alice.organizationId });
    expect(routes.find((route) => route.deploymentId === deploymentId)).toMatchObject({
      ...{ hostname: 'routed.localhost', url: 'http://routed.localhost:8080', revision: 1 },
      upstreams: ['127.0.0.1:40000', '127.0.0.1:40001'],
    });
  });
});

describe('a node that is cordoned', () => {
  it('says so, and takes replicas again afterwards; for operators of the platform alone', async () => {
    const nodes = rig.clientOf(NodesService, 'alice');
    expect(await refusalOf(nodes.cordonNode({ nodeId: NODE }))).toMatchObject({ code: 'PermissionDenied' });
    const operator = rig.clientOf(NodesService, OPERATOR);
    expect((await operator.cordonNode({ nodeId: NODE })).node?.state).toBe(NodeState.CORDONED);
    expect((await nodes.getNode({ nodeId: NODE })).node?.state).toBe(NodeState.CORDONED);
    expect((await operator.uncordonNode({ nodeId: NODE })).node?.state).toBe(NodeState.READY);
    expect(await refusalOf(operator.cordonNode({ nodeId: 'node-unknown' }))).toMatchObject({ code: 'NotFound' });
  });
});

describe('a node that is drained', () => {
  it('says so until it is empty, and takes replicas again once it is uncordoned; for operators alone', async () => {
    const nodes = rig.clientOf(NodesService, 'alice');
    expect(await refusalOf(nodes.drainNode({ nodeId: NODE }))).toMatchObject({ code: 'PermissionDenied' });
    const operator = rig.clientOf(NodesService, OPERATOR);
    expect(await refusalOf(operator.watchDrain({ nodeId: NODE }))).toMatchObject({ code: 'NotFound' });
    expect(await refusalOf(operator.drainNode({ nodeId: 'node-unknown' }))).toMatchObject({ code: 'NotFound' });
    const { drain } = await operator.drainNode({ nodeId: NODE, reason: 'a new disk' });
    expect(drain).toMatchObject({ nodeId: NODE, state: DrainState.RUNNING, moved: 0, reason: 'a new disk' });
    expect((await nodes.getNode({ nodeId: NODE })).node?.state).toBe(NodeState.DRAINING);
    const seen: (DrainState | undefined)[] = [];
    for await (const message of operator.watchDrain({ nodeId: NODE })) {
      seen.push(message.drain?.state);
      if (!message.drain || message.drain.state !== DrainState.RUNNING) continue;
      await createDrainRecords(rig.db).endDrain({ nodeId: NODE, drainId: message.drain.id, state: 'done' });
    }
    expect([seen[0], seen.at(-1)]).toEqual([DrainState.RUNNING, DrainState.DONE]);
    expect((await nodes.getNode({ nodeId: NODE })).node?.state).toBe(NodeState.CORDONED);
    expect((await operator.uncordonNode({ nodeId: NODE })).node?.state).toBe(NodeState.READY);
  });
});

describe('sources', () => {
  it('are stored by their content and recorded for the organization', async () => {
    const upload = await rig
      .clientOf(SourcesService, 'alice')
      .uploadContext(parts(await aTar({ Dockerfile: 'FROM scratch' })));
    expect(upload).toMatchObject({
      entries: 1,
      sizeBytes: 2048n,
      contextSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const { deployment } = await alice.deployments.createDeployment({
      ...{ idempotencyKey: randomUUID(), projectId: alice.projectId, name: 'built' },
      spec: { source: { case: 'dockerfile', value: { contextSha256: upload.contextSha256 } } },
    });
    expect(deployment?.spec?.source.value).toMatchObject({ dockerfilePath: 'Dockerfile' });
  });

  it('that leave their root are refused with the entry', async () => {
    const refusal = await refusalOf(
      rig.clientOf(SourcesService, 'alice').uploadContext(parts(await aTar({ '../x': 'x' }))),
    );
    expect(refusal).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining('"../x"') });
  });

  it.each([
    ['no header', () => [{ part: { case: 'chunk', value: new Uint8Array(10) } }]],
    ['a second header', () => [header(), header()]],
    ['nothing', () => []],
  ] as const)('with %s are refused', async (_, messages) => {
    async function* stream() {
      yield* messages() as unknown as never[];
    }
    expect((await refusalOf(rig.clientOf(SourcesService, 'alice').uploadContext(stream()))).code).toBe(
      'InvalidArgument',
    );
  });
});

describe('logs', () => {
  it('come from the containers of all replicas, with a cursor on each line', async () => {
    const { deploymentId, replicaIds } = await aServing('talks', { replicas: 2 });
    rig.world.nodeLogs = async function* ({ replicaId }) {
      yield { atNanos: 1_700_000_000_123_456_789n, stream: 'stdout', text: `hello from ${replicaId}` };
    };
    const found: string[] = [];
    for await (const { line, cursor } of rig.clientOf(LogsService, 'alice').streamLogs({ deploymentId })) {
      found.push(line?.text ?? '');
      expect(line?.at).toMatchObject({ seconds: 1_700_000_000n, nanos: 123_456_789 });
      expect(cursor).not.toBe('');
    }
    expect(found.sort()).toEqual(replicaIds.map((id) => `hello from ${id}`));
  });

  it('of a node that is away are refused as retryable, and of a replica that there is not as not found', async () => {
    const { deploymentId } = await aServing('silent');
    rig.world.nodeLogs = async function* () {
      yield* [];
      throw new DomainError('NODE_UNAVAILABLE', 'node does not answer');
    };
    const logs = rig.clientOf(LogsService, 'alice');
    expect(await refusalOf(logs.streamLogs({ deploymentId }))).toMatchObject({
      code: 'Unavailable',
      error: 'NODE_UNAVAILABLE',
    });
    expect(await refusalOf(logs.streamLogs({ deploymentId, replicaId: 'r9-9' }))).toMatchObject({ code: 'NotFound' });
    expect(await refusalOf(logs.streamLogs({ deploymentId, cursor: 'x' }))).toMatchObject({ field: 'cursor' });
    expect(await refusalOf(logs.streamLogs({ deploymentId, tail: 10_001 }))).toMatchObject({ field: 'tail' });
  });
});

describe('the service of the nodes', () => {
  beforeAll(async () => {
    await rig.clientOf(ControlService, '').enrolNode(anEnrolment({ nodeId: 'node-stranger', memoryBytes: 1n }));
  });

  it('enrols a node that knows the join token, and has its workflow watch it', async () => {
    const control = rig.clientOf(ControlService, '');
    expect(rig.enrolled).toContain(NODE);
    const wrong = anEnrolment({ nodeId: 'node-00000002', joinToken: 'wrong-token-wrong-token' });
    expect(await refusalOf(control.enrolNode(wrong))).toMatchObject({ code: 'Unauthenticated' });
    expect(await refusalOf(control.enrolNode(anEnrolment({ nodeId: NODE })))).toMatchObject({
      code: 'PermissionDenied',
    });
    const leaked = { ...anEnrolment({ nodeId: 'node-00000003' }), signingJwk: JSON.stringify(keys.signing.privateJwk) };
    expect(await refusalOf(control.enrolNode(leaked))).toMatchObject({ code: 'InvalidArgument', field: 'signing_jwk' });
  });

  it('renews leases of known nodes only', async () => {
    const beat = { dockerHealthy: true, reason: '' };
    expect(await rig.clientOf(ControlService, `node:${NODE}`).heartbeat(beat)).toMatchObject({
      controlJwks: '{"keys":[]}',
    });
    expect(await refusalOf(rig.clientOf(ControlService, 'node:node-unknown').heartbeat(beat))).toMatchObject({
      error: 'NODE_LEASE_LOST',
    });
  });

  it('gives a lease to one process of a node, and hears no other one', async () => {
    const nodeId = `node-${randomUUID().slice(0, 8)}`;
    const control = rig.clientOf(ControlService, '');
    const introduction = anEnrolment({ nodeId, memoryBytes: 1n });
    const [first, second] = [randomUUID(), randomUUID()];
    expect(await control.enrolNode({ ...introduction, holder: first })).toMatchObject({ epoch: 1n, leaseMs: 15_000n });
    const taken = { code: 'Unavailable', error: 'NODE_LEASE_LOST' };
    expect(await refusalOf(control.enrolNode({ ...introduction, holder: second }))).toMatchObject(taken);
    const of = (epoch: number) => rig.clientOf(ControlService, `node:${nodeId}:${epoch}`);
    await of(1).heartbeat({});
    await of(1).releaseLease({});
    expect(await control.enrolNode({ ...introduction, holder: second })).toMatchObject({ epoch: 2n });
    await of(1).releaseLease({});
    expect(await refusalOf(of(1).heartbeat({}))).toMatchObject(taken);
    expect(await refusalOf(of(1).reportReplicas({ complete: true }))).toMatchObject(taken);
    expect(await refusalOf(of(1).findOwned({}))).toMatchObject(taken);
    await of(2).reportReplicas({ complete: true });
  });

  it('gives a node the variables of what it runs, encrypted for it alone', async () => {
    const { deploymentId } = await aServing('secretive', { variables: { TOKEN: 's3cr3t', EMPTY: '' } });
    const { jwe } = await rig
      .clientOf(ControlService, `node:${NODE}`)
      .fetchEnvironment({ deploymentId, revision: 1, service: 'app' });
    expect(await decryptEnvironment(keys.encryption.privateJwk, jwe)).toEqual([
      { name: 'TOKEN', value: 's3cr3t' },
      { name: 'EMPTY', value: '' },
    ]);
    const stranger = rig.clientOf(ControlService, 'node:node-stranger');
    expect(await refusalOf(stranger.fetchEnvironment({ deploymentId, revision: 1, service: 'app' }))).toMatchObject({
      code: 'NotFound',
    });
  });

  it('gives the node that builds a service its build arguments, which are other values than its variables', async () => {
    const tar = await aTar({ Dockerfile: 'FROM scratch' });
    const { contextSha256 } = await rig.clientOf(SourcesService, 'alice').uploadContext(parts(tar));
    const wanted = (args: Variables, environment: Variables) => ({
      source: { case: 'dockerfile', value: { contextSha256, args } } as const,
      environment,
    });
    const { deployment } = await alice.deployments.createDeployment({
      ...{ idempotencyKey: randomUUID(), projectId: alice.projectId, name: 'with-arguments' },
      spec: wanted([{ name: 'TOKEN', value: 'of the build' }], [{ name: 'TOKEN', value: 'of the container' }]),
    });
    const deploymentId = deployment?.id ?? '';
    await rig.store.beginRollout({ deploymentId, operationId: deployment?.operation?.id ?? '' });
    const of = { deploymentId, revision: 1, service: 'app', buildArguments: true };
    const { jwe } = await rig.clientOf(ControlService, `node:${NODE}`).fetchEnvironment(of);
    const opened = await decryptEnvironment(keys.encryption.privateJwk, jwe);
    expect(opened).toEqual([{ name: 'TOKEN', value: 'of the build' }]);
    const stranger = rig.clientOf(ControlService, 'node:node-stranger');
    expect(await refusalOf(stranger.fetchEnvironment(of))).toMatchObject({ code: 'NotFound' });

    const update = { deploymentId, spec: wanted([{ name: 'TOKEN' }], [{ name: 'TOKEN' }]) };
    await alice.deployments.updateDeployment({ idempotencyKey: randomUUID(), ...update });
    const other = wanted([{ name: 'TOKEN', value: 'of another build' }], []);
    await alice.deployments.updateDeployment({
      ...{ idempotencyKey: randomUUID(), deploymentId, spec: other, updateMask: { paths: ['dockerfile'] } },
    });
    const [first, kept, changed] = await storedServices(deploymentId);
    expect(argumentsOf(kept)).toEqual(argumentsOf(first));
    expect(kept?.environment).toEqual(first?.environment);
    expect(changed?.environment).toEqual(first?.environment);
    const place = { organizationId: alice.organizationId, deploymentId, service: 'app', isBuildArgument: true };
    const values = argumentsOf(changed).map(({ version, sealed, ...own }) =>
      rig.sealing.open({ ...variablePlace(place, own), version, sealed }),
    );
    expect(await Promise.all(values)).toEqual(['of another build']);
  });

  it('takes reports of replicas, which everybody then sees', async () => {
    const { deploymentId, replicaIds } = await aServing('crashes');
    const replica = { deploymentId, revision: 1, replicaId: replicaIds[0] ?? '', containerId: '0'.repeat(64) };
    const report = { replicas: [{ ...replica, state: 'exited', exitCode: 137, outOfMemory: true }] };
    await rig.clientOf(ControlService, `node:${NODE}`).reportReplicas(report);
    const { deployment } = await alice.deployments.getDeployment({ deploymentId });
    expect(deployment?.replicas[0]).toMatchObject({ exitCode: 137 });
    expect(deployment?.statusReason).toContain('137');
  });

  it('streams a context to the node that builds from it, and to no other', async () => {
    const tar = await aTar({ Dockerfile: 'FROM scratch', big: 'x'.repeat(3_000_000) });
    const { contextSha256 } = await rig.clientOf(SourcesService, 'alice').uploadContext(parts(tar));
    const { deploymentId } = await aServing('from-context', { context: contextSha256 });
    const received: Uint8Array[] = [];
    const control = rig.clientOf(ControlService, `node:${NODE}`);
    for await (const { chunk } of control.fetchContext({ deploymentId, contextSha256 })) received.push(chunk);
    expect(Buffer.concat(received).equals(tar)).toBe(true);
    expect(Math.max(...received.map(({ length }) => length))).toBeLessThanOrEqual(1024 * 1024);
    const stranger = rig.clientOf(ControlService, 'node:node-stranger');
    expect(await refusalOf(stranger.fetchContext({ deploymentId, contextSha256 }))).toMatchObject({ code: 'NotFound' });
  });
});

/** The one service of a deployment, revision by revision. */
async function storedServices(deploymentId: string): Promise<ServiceSpec[]> {
  const revisions = await rig.db
    .selectFrom('revisions')
    .select('spec')
    .where('deployment_id', '=', deploymentId)
    .orderBy('number')
    .execute();
  return revisions.flatMap(({ spec }) => servicesOf(spec));
}

function argumentsOf(service: ServiceSpec | undefined): readonly SealedVariable[] {
  return service?.source.kind === 'dockerfile' ? (service.source.args ?? []) : [];
}

function header() {
  return { part: { case: 'header', value: { organizationId: alice.organizationId } } } as const;
}

async function* parts(tar: Buffer) {
  yield header();
  for (let at = 0; at < tar.length; at += 500_000) {
    yield { part: { case: 'chunk', value: new Uint8Array(tar.subarray(at, at + 500_000)) } } as const;
  }
}

async function aTar(files: Record<string, string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

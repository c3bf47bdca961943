import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decryptEnvironment } from '../../adapters/tokens/environment-envelope.ts';
import { decryptGitCredential } from '../../adapters/tokens/git-credential-envelope.ts';
import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { GitService } from '../../gen/obiente/cloud/v1/git_pb.ts';
import type { DeploymentSpecSchema } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { ControlService, type ReportComposeFileRequestSchema } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { aRequest } from '../../test/support/builders.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';

type SpecInit = MessageInitShape<typeof DeploymentSpecSchema>;
type ReportInit = Extract<MessageInitShape<typeof ReportComposeFileRequestSchema>, { $typeName?: never }>;

const [NODE, OTHER] = ['node-00000001', 'node-00000002'] as const;
const [ONE, TWO] = ['1'.repeat(40), '2'.repeat(40)] as const;
const URL = 'https://git.example.test/acme/shop.git';
const CANARY = 'canary-of-a-compose-file';

let rig: ApiRig;
let alice: Awaited<ReturnType<ApiRig['user']>>;
const keys = generateNodeKeys();

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  const jwks = {
    signingJwk: JSON.stringify(keys.signing.publicJwk),
    encryptionJwk: JSON.stringify(keys.encryption.publicJwk),
  };
  for (const nodeId of [NODE, OTHER]) {
    await rig.clientOf(ControlService, '').enrolNode({ ...anEnrolment({ nodeId }), ...jwks });
  }
  await rig.store.recordNodeState({ nodeId: NODE, state: 'ready', reason: '' });
});
afterAll(() => rig.stop());

const controlOf = (nodeId: string) => rig.clientOf(ControlService, `node:${nodeId}`);

function fromGit(value: object = {}, changes: object = {}): SpecInit {
  return { source: { case: 'git', value: { url: URL, composePath: '', ...value } }, ...changes } as SpecInit;
}

const FILE = `services:
  web:
    build: { context: web, args: { EDITION: "\${EDITION}" } }
    ports: ["8080"]
    environment: { PASSWORD: ${CANARY}, GREETING: "\${GREETING}", TOKEN: }
    depends_on: [cache]
  cache:
    image: redis:8
`;

interface Reading {
  readonly deploymentId: string;
  readonly operationId: string;
  readonly revision: number;
}

async function created(spec: SpecInit): Promise<Reading> {
  const name = `app-${randomUUID().slice(0, 8)}`;
  const creation = { idempotencyKey: randomUUID(), projectId: alice.projectId, name, spec };
  const { deployment } = await alice.deployments.createDeployment(creation);
  return { deploymentId: deployment?.id ?? '', operationId: deployment?.operation?.id ?? '', revision: 1 };
}

/** Begins an operation as the workflow does, up to where its node has to read. */
async function begin({ deploymentId, operationId, revision }: Reading, commit = ONE as string) {
  const ref = { deploymentId, operationId };
  const { reading } = await rig.store.beginRollout(ref);
  if (reading) await rig.store.recordSource({ ...ref, service: 'app', revision, commit });
  return reading;
}

const report = ({ deploymentId, revision }: Reading, changes: ReportInit = {}, nodeId: string = NODE) =>
  controlOf(nodeId).reportComposeFile({
    ...{ deploymentId, revision, path: 'compose.yaml', file: FILE, complete: true },
    ...changes,
  });

const VALUES = { environmentFile: 'GREETING=from the file\nEDITION=small\nTOKEN=from the file\n' };
const FILES = { web: 'f'.repeat(64) };

async function adopt({ deploymentId, operationId, revision }: Reading) {
  const found = { kind: 'compose', reason: 'the Compose file compose.yaml at its root' } as const;
  await rig.store.adoptSource({ deploymentId, operationId, revision, found });
  return await rig.store.beginRollout({ deploymentId, operationId });
}

/** A push, and what it is answered with. */
async function pushed({ deploymentId }: Reading): Promise<Reading> {
  const { organizationId, projectId } = alice;
  const change = { service: null, replace: {}, setVariables: [], unsetVariables: [] };
  const request = aRequest({ kind: 'update', change, freshSource: true });
  const stored = await rig.workflows.submit({ deploymentId, organizationId, projectId, request });
  return { deploymentId, operationId: stored.operationId, revision: stored.revision };
}

async function failed({ deploymentId, operationId }: Reading): Promise<void> {
  await rig.store.failOperation({ deploymentId, operationId, failure: { code: 'INTERNAL', message: 'x', hint: '' } });
}

async function specOf({ deploymentId }: Reading) {
  const { deployment } = await alice.deployments.getDeployment({ deploymentId });
  return deployment?.spec;
}

describe('a Compose file of a repository', () => {
  it('is read by one node, and then has the services of that commit, sealed and pinned', async () => {
    const environment = [{ name: 'GREETING', value: 'given' }];
    const reading = await created(fromGit({}, { environment }));
    expect(await begin(reading)).toMatchObject({ nodeId: NODE, source: { onlyCompose: true, composePath: null } });
    const { builds, refusal } = await report(reading, { ...VALUES, complete: false });
    expect([refusal, builds]).toMatchObject(['', [{ service: 'web', folder: 'web', dockerfilePath: 'Dockerfile' }]]);
    expect(await report(reading, { ...VALUES, contexts: FILES })).toMatchObject({ refusalCode: '', refusal: '' });
    const plan = await adopt(reading);
    expect(plan.reading).toBeUndefined();
    expect(plan.services.map(({ template }) => template.service).sort()).toEqual(['cache', 'web']);
    const web = plan.services.find(({ template }) => template.service === 'web');
    const source = { kind: 'git', url: URL, subdirectory: 'web', commit: ONE, ref: ONE, hasArguments: true };
    expect(web).toMatchObject({ source: { ...source, filesSha256: FILES.web }, buildNodeId: NODE });
    expect(JSON.stringify(plan)).not.toMatch(/canary|given|small/);

    const of = { deploymentId: reading.deploymentId, revision: 1, service: 'web' };
    const variables = async (buildArguments: boolean) => {
      const { jwe } = await controlOf(NODE).fetchEnvironment({ ...of, buildArguments });
      const opened = await decryptEnvironment(keys.encryption.privateJwk, jwe);
      return Object.fromEntries(opened.map(({ name, value }) => [name, value]));
    };
    expect(await variables(false)).toEqual({ PASSWORD: CANARY, GREETING: 'given', TOKEN: 'from the file' });
    expect(await variables(true)).toEqual({ EDITION: 'small' });

    const spec = await specOf(reading);
    expect(spec?.source).toMatchObject({
      case: 'compose',
      value: {
        git: { url: URL, ref: 'HEAD', commit: ONE, composePath: '' },
        services: [{ name: 'cache' }, { name: 'web' }],
      },
    });
    expect(spec?.environment).toMatchObject([{ name: 'GREETING' }]);
    expect(spec?.environment[0]?.value).toBeUndefined();
  });

  it('leaves nothing of itself in a table in the clear', async () => {
    const reading = await created(fromGit());
    await begin(reading);
    await report(reading, { ...VALUES, contexts: FILES });
    for (const table of ['source_readings', 'revisions', 'deployment_events', 'operations'] as const) {
      const { rows } = await sql<{ row: string }>`SELECT t::text AS row FROM ${sql.table(table)} t`.execute(rig.db);
      expect(rows.length).toBeGreaterThan(0);
      for (const secret of [CANARY, 'from the file']) expect(JSON.stringify(rows)).not.toContain(secret);
    }
    await adopt(reading);
    const { rows } = await sql<{ left: number }>`SELECT count(spec)::int AS left FROM source_readings`.execute(rig.db);
    expect(rows).toEqual([{ left: 0 }]);
  });

  it('is taken from the node that was chosen only, and only while its operation goes on', async () => {
    const reading = await created(fromGit());
    expect(await refusalOf(report(reading, VALUES))).toMatchObject({ code: 'NotFound' });
    await begin(reading);
    expect(await refusalOf(report(reading, VALUES, OTHER))).toMatchObject({ code: 'NotFound' });
    expect(await refusalOf(report({ ...reading, revision: 2 }, VALUES))).toMatchObject({ code: 'NotFound' });
    await report(reading, VALUES);
    await adopt(reading);
    expect(await refusalOf(report(reading, VALUES))).toMatchObject({ code: 'NotFound' });
    const other = await created(fromGit());
    await begin(other);
    await failed(other);
    expect(await refusalOf(report(other, VALUES))).toMatchObject({ code: 'NotFound' });
  });

  it.each([
    ['privileged', `services: { web: { image: redis, privileged: true } }`, 'services.web.privileged'],
    ['a folder of the node', `services: { web: { image: redis, volumes: ["/etc:/x"] } }`, 'services.web.volumes[0]'],
    ['a context above', `services: { web: { build: .. } }`, 'services.web.build'],
    ['a remote context', `services: { web: { build: "https://x.test/a.git" } }`, 'services.web.build'],
    ['a Dockerfile above', `services: { web: { build: { dockerfile: ../Dockerfile } } }`, 'dockerfile'],
    ['an env_file', `services: { web: { image: redis, env_file: .env } }`, 'services.web.env_file'],
    ['a variable that is missing', `services: { web: { image: "redis:\${VERSION}" } }`, 'VERSION'],
    ['no YAML', `services: [`, 'file'],
    ['nothing', `services: {}`, 'services'],
    ['too little memory for a node', `services: { web: { image: redis, mem_limit: 400g } }`, 'memory'],
  ])('is refused in words of its commit for %s, without what it holds', async (_, file, named) => {
    const reading = await created(fromGit());
    await begin(reading);
    const secret = `x-secrets: { password: ${CANARY} }\n`;
    const { refusal, refusalCode, builds } = await report(reading, { file: `${secret}${file}` });
    expect(refusalCode).toMatch(/^(INVALID_ARGUMENT|INSUFFICIENT_CAPACITY)$/);
    expect(refusal).toContain(`compose.yaml of commit ${ONE.slice(0, 12)}: `);
    expect(refusal).toContain(named);
    expect(refusal).not.toContain(CANARY);
    expect(builds).toEqual([]);
    expect(isUnreadSpec(await specOf(reading))).toBe(true);
  });

  it('is read anew for a push, keeps what is the same, and keeps values that the file leaves open', async () => {
    const reading = await created(fromGit({ ref: 'main' }, { environment: [{ name: 'TOKEN', value: 'given' }] }));
    await begin(reading);
    await report(reading, { ...VALUES, contexts: FILES });
    await adopt(reading);
    const ref = { deploymentId: reading.deploymentId, operationId: reading.operationId };
    await rig.store.recordBuild({ ...ref, service: 'web', revision: 1, imageId: `sha256:${'b'.repeat(64)}` });
    await rig.store.finishOperation(ref);

    const push = await pushed(reading);
    expect(push.revision).toBe(2);
    expect(await begin(push, TWO)).toMatchObject({ revision: 2, commit: null, source: { ref: 'main' } });
    const file = FILE.replace('image: redis:8', 'image: redis:8\n  jobs:\n    build: jobs');
    await report(push, { ...VALUES, file, contexts: { ...FILES, jobs: 'e'.repeat(64) } });
    const { goal, services } = await adopt(push);
    // The image of the cache has not run here, so it is unknown and replaced; what is built is the same, and stays.
    expect(goal.map(({ name, revision }) => `${name} r${revision}`).sort()).toEqual(['cache r2', 'jobs r2', 'web r1']);
    expect(services.find(({ template }) => template.service === 'jobs')?.source).toMatchObject({ commit: TWO });
    const { operation } = await alice.deployments
      .getDeployment({ deploymentId: reading.deploymentId })
      .then(({ deployment }) => ({ operation: deployment?.operation }));
    expect(operation?.id).toBe(push.operationId);
    expect(await stepsOf(push)).toContainEqual(
      `source.read: found the Compose file compose.yaml at its root, at commit ${TWO.slice(0, 12)}: 3 services (cache, web, jobs); web stays as it is`,
    );
  });

  it('stays at its commit, unread, where a setting of one of its services is changed', async () => {
    const reading = await created(fromGit());
    await begin(reading);
    await report(reading, { ...VALUES, contexts: FILES });
    await adopt(reading);
    const { deployment } = await alice.deployments.updateDeployment({
      ...{ idempotencyKey: randomUUID(), deploymentId: reading.deploymentId, service: 'cache' },
      setEnvironment: [{ name: 'ADDED', value: 'x' }],
    });
    const ref = { deploymentId: reading.deploymentId, operationId: deployment?.operation?.id ?? '' };
    const plan = await rig.store.beginRollout(ref);
    expect(plan.reading).toBeUndefined();
    const web = plan.services.find(({ template }) => template.service === 'web');
    expect(web?.source).toMatchObject({ commit: ONE, ref: ONE });
    const { revisions } = await alice.deployments.listRevisions({ deploymentId: reading.deploymentId });
    expect(revisions.map(({ spec }) => spec?.source.case === 'compose' && spec.source.value.git?.commit)).toEqual([
      ONE,
      ONE,
    ]);
  });

  it('applies what was asked while it was not read yet, and refuses what it does not have', async () => {
    const reading = await created(fromGit());
    const limits = { cpuCores: 0.5, memoryBytes: 64n * 1024n * 1024n };
    const update = (service: string) =>
      alice.deployments.updateDeployment({
        ...{ idempotencyKey: randomUUID(), deploymentId: reading.deploymentId, service },
        ...{ spec: { limits }, updateMask: { paths: ['limits'] } },
      });
    const { deployment } = await update('web');
    const next = { ...reading, operationId: deployment?.operation?.id ?? '', revision: 2 };
    await begin(next);
    await report(next, VALUES);
    await adopt(next);
    const { source } = (await specOf(next)) ?? {};
    const services = source?.case === 'compose' ? source.value.services : [];
    expect(services.find(({ name }) => name === 'web')).toMatchObject({ limits });

    const other = await created(fromGit());
    const wrong = await alice.deployments.updateDeployment({
      ...{ idempotencyKey: randomUUID(), deploymentId: other.deploymentId, service: 'nobody' },
      ...{ spec: { limits }, updateMask: { paths: ['limits'] } },
    });
    const asked = { ...other, operationId: wrong.deployment?.operation?.id ?? '', revision: 2 };
    await begin(asked);
    await report(asked, VALUES);
    await expect(adopt(asked)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'service' });
  });

  it('is found where nothing says what a repository is, with a warning of what was said in vain', async () => {
    const reading = await created(fromGit({ composePath: undefined }, { port: 80 }));
    expect(await begin(reading)).toMatchObject({ source: { onlyCompose: false } });
    await report(reading, VALUES);
    await adopt(reading);
    expect((await specOf(reading))?.source).toMatchObject({
      case: 'compose',
      value: { warnings: ['spec.port: left out, since compose.yaml says it for each of its services'] },
    });
    const image = await created(fromGit({ composePath: undefined }, { port: 80 }));
    await begin(image);
    const ref = { deploymentId: image.deploymentId, operationId: image.operationId };
    const found = { kind: 'image', reason: 'a Dockerfile at its root' } as const;
    await rig.store.adoptSource({ ...ref, revision: 1, found });
    await rig.store.adoptSource({ ...ref, revision: 1, found });
    const { services, reserved } = await rig.store.beginRollout(ref);
    expect(services).toMatchObject([{ source: { kind: 'git', commit: ONE }, buildNodeId: NODE }]);
    expect(reserved).toHaveLength(1);
    expect((await stepsOf(image)).filter((step) => step.startsWith('source.read'))).toHaveLength(1);
  });

  it('cannot be returned to before it was read', async () => {
    const reading = await created(fromGit());
    await begin(reading);
    await failed(reading);
    const back = alice.deployments.rollbackDeployment({
      ...{ idempotencyKey: randomUUID(), deploymentId: reading.deploymentId, toRevision: 1 },
    });
    expect(await refusalOf(back)).toMatchObject({ error: 'NOT_DEPLOYED' });
  });

  it('is read with the credential of its organization, as long as it is read', async () => {
    const git = rig.clientOf(GitService, 'alice');
    const secret = { case: 'https', value: { username: 'robot', password: 'canary-of-a-repository' } } as const;
    const { organizationId } = alice;
    await git.setGitCredential({ idempotencyKey: randomUUID(), organizationId, target: 'git.example.test', secret });
    const reading = await created(fromGit());
    const fetched = async (nodeId: string, { deploymentId, revision }: Reading) => {
      const { jwe } = await controlOf(nodeId).fetchSourceCredential({ deploymentId, revision, service: 'app' });
      return jwe === '' ? undefined : await decryptGitCredential(keys.encryption.privateJwk, jwe);
    };
    expect(await fetched(NODE, reading)).toBeUndefined();
    await begin(reading);
    expect(await fetched(NODE, reading)).toMatchObject({ username: 'robot' });
    expect(await fetched(OTHER, reading)).toBeUndefined();
    await failed(reading);
    expect(await fetched(NODE, reading)).toBeUndefined();
  });

  it.each([
    ['spec.git.compose_path', fromGit({ composePath: '../compose.yaml' })],
    ['spec.git.compose_path', fromGit({ composePath: '/etc/compose.yaml' })],
    ['spec.git.compose_path', fromGit({ composePath: 'a/./b' })],
    ['spec.git.dockerfile_path', fromGit({ dockerfilePath: 'Dockerfile' })],
    ['spec.git.target', fromGit({ target: 'web' })],
    ['spec.port', fromGit({}, { port: 80 })],
    ['spec.replicas', fromGit({}, { replicas: 2 })],
    ['spec.limits', fromGit({}, { limits: { cpuCores: 1 } })],
    ['spec.command', fromGit({}, { command: ['x'] })],
    [
      'spec.rollout.canary',
      fromGit(
        {},
        {
          rollout: {
            strategy: {
              case: 'canary',
              value: { steps: [{ weightPercent: 1, gate: { case: 'approval', value: {} } }] },
            },
          },
        },
      ),
    ],
  ])('is refused by %s', async (field, spec) => {
    expect(await refusalOf(created(spec))).toMatchObject({ code: 'InvalidArgument', field });
  });

  it('is asked for in a whole spec only', async () => {
    const reading = await created(fromGit());
    const change = { idempotencyKey: randomUUID(), deploymentId: reading.deploymentId, spec: fromGit() };
    const refusal = await refusalOf(alice.deployments.updateDeployment({ ...change, updateMask: { paths: ['git'] } }));
    expect(refusal).toMatchObject({ code: 'InvalidArgument', field: 'spec.git.compose_path' });
  });
});

function isUnreadSpec(spec: Awaited<ReturnType<typeof specOf>>): boolean {
  return spec?.source.case === 'compose' && spec.source.value.services.length === 0;
}

async function stepsOf({ deploymentId }: Reading): Promise<string[]> {
  const rows = await rig.db
    .selectFrom('deployment_events')
    .select(['kind', 'message'])
    .where('deployment_id', '=', deploymentId)
    .execute();
  return rows.map(({ kind, message }) => `${kind}: ${message}`);
}

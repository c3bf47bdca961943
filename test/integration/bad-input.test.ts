import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { type Header, pack } from 'tar-stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  DeploymentStatus,
  DeploymentsService,
  type Operation,
  OperationState,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { eventually } from '../support/eventually.ts';
import { openApi } from '../support/platform.ts';
import { refusalOf } from '../support/refusal.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject, firstProject, type SpecInit } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';
import { accessToken, rawCall } from './raw-call.ts';
import { openTraces, type TraceReader, type Traces } from './traces.ts';

const MIB = 1024 * 1024;

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
let traces: TraceReader;
let organizationId: string;
let projectId: string;
beforeAll(async () => {
  traces = await openTraces(platform, api);
  projectId = await firstProject(api);
  organizationId = (await api.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
});
afterAll(async () => {
  await traces.close();
  api.close();
});

/** Every test leaves the platform as it was: what was refused has no effect, what was accepted is removed again. */
let before: Traces;
beforeEach(async () => {
  before = await traces.read();
});
// Temporal lists a workflow that has just ended as running for a moment.
afterEach(async () => await eventually(async () => expect(await traces.read()).toEqual(before)));

interface Creation {
  readonly name?: string;
  readonly spec?: SpecInit;
}

/** A creation that would be accepted but for `changes`. */
function create({ name = `bad-${randomUUID().slice(0, 8)}`, spec = {} }: Creation): Promise<unknown> {
  const image = { case: 'image', value: { reference: 'nginx:1' } };
  const request = { idempotencyKey: randomUUID(), projectId, name, spec: { source: image, port: 80, ...spec } };
  return api.deployments.createDeployment(request as Parameters<typeof api.deployments.createDeployment>[0]);
}

type Row = readonly [what: string, creation: Creation, field: string, found: RegExp, allowed: RegExp];

const NAME_RULE = /lower-case letters, digits and hyphens, a letter first, no hyphen last/;
const VARIABLE_RULE = /letters, digits and underscores, no digit first/;
const MEMORY_RULE = /6291456 to 17592186044416/;
const variable = (name: string, value = 'x'): SpecInit => ({ environment: [{ name, value }] });
const memory = (memoryBytes: number): SpecInit => ({ limits: { memoryBytes: BigInt(memoryBytes) } });
const http = (path: string): SpecInit => ({ healthCheck: { kind: { case: 'http', value: { path } } } });

const INVALID: readonly Row[] = [
  ['an empty name', { name: '' }, 'name', /""/, /at least 2 characters/],
  ['a name of one character', { name: 'a' }, 'name', /"a"/, /at least 2 characters/],
  ['a name of 10,000 characters', { name: 'x'.repeat(10_000) }, 'name', /10000 characters/, /at most 63 characters/],
  ['a name in upper case', { name: 'Shop' }, 'name', /"Shop"/, NAME_RULE],
  ['a name with a dot', { name: 'shop.example' }, 'name', /"shop.example"/, NAME_RULE],
  ['a name that ends with a hyphen', { name: 'shop-' }, 'name', /"shop-"/, NAME_RULE],
  ['a name that climbs', { name: '../shop' }, 'name', /"..\/shop"/, NAME_RULE],
  ['a name with a new line', { name: 'shop\nx' }, 'name', /"shop\\nx"/, NAME_RULE],
  ['a name with a look-alike letter', { name: 'shоp' }, 'name', /"shоp"/, NAME_RULE],
  ['port 0', { spec: { port: 0 } }, 'spec.port', /0/, /1 to 65535/],
  ['port 70000', { spec: { port: 70_000 } }, 'spec.port', /70000/, /1 to 65535/],
  ['-1 replicas', { spec: { replicas: -1 } }, 'spec.replicas', /-1/, /0 to 10000/],
  ['10,001 replicas', { spec: { replicas: 10_001 } }, 'spec.replicas', /10001/, /0 to 10000/],
  ['no memory', { spec: memory(0) }, 'spec.limits.memory_bytes', /0/, MEMORY_RULE],
  ["memory below Docker's minimum", { spec: memory(6 * MIB - 1) }, 'spec.limits.memory_bytes', /6291455/, MEMORY_RULE],
  ['a variable without a name', { spec: variable('') }, 'spec.environment[0].name', /""/, /at least 1 character/],
  ['a variable with = in its name', { spec: variable('A=B') }, 'spec.environment[0].name', /"A=B"/, VARIABLE_RULE],
  [
    'a variable with NUL in its name',
    { spec: variable('A\0') },
    'spec.environment[0].name',
    /"A\\u0000"/,
    VARIABLE_RULE,
  ],
  ['a variable with a new line', { spec: variable('A\nB') }, 'spec.environment[0].name', /"A\\nB"/, VARIABLE_RULE],
  ['a NUL in a value', { spec: variable('A', '\0') }, 'spec.environment[0].value', /NUL/, /without NUL/],
  [
    'a variable that is there twice',
    { spec: { environment: [variable('A', '1'), variable('A', '2')].flatMap(({ environment = [] }) => environment) } },
    'spec.environment[1].name',
    /A is set twice/,
    /one value for each name/,
  ],
  [
    'an environment of 300 KiB',
    { spec: { environment: [1, 2, 3, 4, 5].map((n) => ({ name: `A${n}`, value: 'x'.repeat(60 * 1024) })) } },
    'spec.environment',
    /307210 bytes/,
    /at most 262144 bytes/,
  ],
  ['a health path without /', { spec: http('healthz') }, 'spec.health_check.http.path', /"healthz"/, /begins with \//],
  ['a health path with a header', { spec: http('/\r\nX: y') }, 'spec.health_check.http.path', /r\\n/, /without spaces/],
  ['a spec of 3 MB', { spec: { command: ['x'.repeat(3_000_000)] } }, 'spec.command[0]', /3000000/, /at most 32768/],
  [
    'a spec of 3 MB in parts that are allowed',
    { spec: { command: Array.from({ length: 100 }, () => 'x'.repeat(30_000)) } },
    'spec.command',
    /3000000 bytes/,
    /at most 32768 bytes/,
  ],
  ['no source', { spec: { source: { case: undefined } } }, 'spec.source', /nothing is set/, /one of image, dockerfile/],
  [
    'an image of the own network',
    { spec: { source: { case: 'image', value: { reference: '169.254.169.254/x' } } } },
    'spec.image.reference',
    /169\.254\.169\.254/,
    /a registry on the internet/,
  ],
  [
    'a context that was never uploaded',
    { spec: { source: { case: 'dockerfile', value: { contextSha256: 'a'.repeat(64) } } } },
    'spec.dockerfile.context_sha256',
    /no such context/,
    /UploadContext/,
  ],
  [
    'a Dockerfile outside of its context',
    {
      spec: {
        source: { case: 'dockerfile', value: { contextSha256: 'a'.repeat(64), dockerfilePath: '../../etc/passwd' } },
      },
    },
    'spec.dockerfile.dockerfile_path',
    /"..\/..\/etc\/passwd"/,
    /inside the context/,
  ],
];

describe('a creation is refused without a trace', () => {
  it.each(INVALID)('for %s', async (_, creation, field, found, allowed) => {
    const refusal = await refusalOf(create(creation));
    expect(refusal).toMatchObject({ code: 'InvalidArgument', error: 'INVALID_ARGUMENT', field });
    const [finding, rule] = refusal.message.split('; allowed is ');
    expect(finding).toMatch(found);
    expect(finding?.startsWith(`${field}: `)).toBe(true);
    expect(rule).toMatch(allowed);
    expect(refusal.message.length).toBeLessThan(400);
  });

  it.each<[string, SpecInit, string, RegExp]>([
    ['memory', memory(2 ** 44), 'spec.limits.memory_bytes', /wants 1 core and 16384\.0 GiB/],
    ['cores', { limits: { cpuCores: 1024 } }, 'spec.limits.cpu_cores', /wants 1024 cores/],
  ])('for more %s than any node has, naming what each has free', async (_, spec, field, wanted) => {
    const refusal = await refusalOf(create({ spec }));
    expect(refusal).toMatchObject({ code: 'ResourceExhausted', error: 'INSUFFICIENT_CAPACITY', field });
    expect(refusal.message).toMatch(wanted);
    const { nodes } = await api.nodes.listNodes({});
    for (const { id } of nodes) expect(refusal.message).toMatch(new RegExp(`${id} has \\d+ cores? and .* free of `));
  });

  it('for a message that is larger than any request needs to be', async () => {
    const refusal = await refusalOf(create({ spec: { command: ['x'.repeat(5 * MIB)] } }));
    expect(refusal.code).toBe('ResourceExhausted');
    expect(refusal.message).toMatch(/larger than .*4194304/);
  });

  it('for a name that exists, whoever asks at the same moment', async () => {
    const name = `twice-${randomUUID().slice(0, 8)}`;
    const subject = await createSubject(api, { ...aWebServer(docker.corner.image, 'x'), replicas: 0 }, name);
    await subject.outcome();
    const present = await traces.read();
    const refusals = await Promise.all([1, 2, 3].map(() => refusalOf(create({ name }))));
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: 'AlreadyExists', error: 'NAME_TAKEN', field: 'name' });
      expect(refusal.message).toContain(name);
    }
    expect(await traces.read()).toEqual(present);
    await subject.remove();
  });
});

it('no replicas at all are allowed: the deployment is stopped', async () => {
  const subject = await createSubject(api, { ...aWebServer(docker.corner.image, 'x'), replicas: 0 });
  expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
  expect(await subject.get()).toMatchObject({ status: DeploymentStatus.STOPPED, replicas: [] });
  await subject.remove();
});

describe('an update that is refused', () => {
  it('changes neither what runs nor what is wanted', async () => {
    const subject = await createSubject(api, { ...aWebServer(docker.corner.image, 'x'), replicas: 0 });
    await subject.outcome();
    const current = await subject.get();
    for (const spec of [{ port: 0 }, { replicas: 10_001 }, variable('A=B'), { environment: [{ name: 'NEW' }] }]) {
      const refusal = await refusalOf(subject.update({ ...aWebServer(docker.corner.image, 'x'), ...spec } as SpecInit));
      expect(refusal.code).toBe('InvalidArgument');
    }
    expect(await subject.get()).toEqual(current);
    await subject.remove();
  });
});

type Entry = Partial<Header> & { readonly name: string; readonly data?: string | Buffer };

async function aTar(...entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { data, ...header } of entries) tar.entry(header as Header, data ?? '');
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Uploads bytes as a context; answers with its hash. */
async function upload(bytes: Buffer): Promise<string> {
  async function* parts() {
    yield { part: { case: 'header', value: { organizationId } } } as const;
    for (let at = 0; at < bytes.length; at += MIB) {
      yield { part: { case: 'chunk', value: bytes.subarray(at, at + MIB) } } as const;
    }
  }
  return (await api.sources.uploadContext(parts())).contextSha256;
}

describe('a build context is refused without a file', () => {
  it.each<[string, Entry, RegExp]>([
    ['climbs out of its root', { name: '../../etc/cron.d/x', data: 'x' }, /leaves the root/],
    ['climbs out after a name', { name: 'a/../../x', data: 'x' }, /leaves the root/],
    ['is absolute', { name: '/etc/passwd', data: 'x' }, /absolute path/],
    ['is a character device', { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }, /character-device/],
    ['is a block device', { name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }, /block-device/],
    ['is a FIFO', { name: 'pipe', type: 'fifo' }, /fifo/],
    ['is a link to an absolute path', { name: 'link', type: 'symlink', linkname: '/etc/shadow' }, /within the context/],
    ['is a link out of the root', { name: 'd/link', type: 'symlink', linkname: '../../x' }, /within the context/],
    ['is a hard link out of the root', { name: 'link', type: 'link', linkname: '../x' }, /within the context/],
  ])('when an entry %s', async (_, entry, finding) => {
    const refusal = await refusalOf(upload(await aTar({ name: 'Dockerfile', data: 'FROM scratch' }, entry)));
    expect(refusal).toMatchObject({ code: 'InvalidArgument', error: 'INVALID_ARGUMENT' });
    expect(refusal.message).toContain(JSON.stringify(entry.name));
    expect(refusal.message).toMatch(finding);
  });

  it.each<[string, () => Buffer | Promise<Buffer>, RegExp]>([
    ['it is empty', () => Buffer.alloc(0), /holds no entries/],
    ['it is noise', () => randomBytes(8192), /not a tar archive/],
    [
      'it is cut short',
      async () => (await aTar({ name: 'a', data: randomBytes(9000) })).subarray(0, 5000),
      /cut short/,
    ],
    [
      'its gzip stream is cut short',
      async () => gzipSync(await aTar({ name: 'a', data: randomBytes(9000) })).subarray(0, 5000),
      /cut short/,
    ],
    ['it unpacks to more than 512 MiB', aBomb, /unpacked it is larger than 512 MiB/],
  ])('when %s', async (_, make, finding) => {
    const refusal = await refusalOf(upload(await make()));
    expect(refusal).toMatchObject({ code: 'InvalidArgument' });
    expect(refusal.message).toMatch(finding);
  });

  it('when it goes to an organization that is none of the caller', async () => {
    async function* parts() {
      yield { part: { case: 'header', value: { organizationId: randomUUID() } } } as const;
    }
    expect(await refusalOf(api.sources.uploadContext(parts()))).toMatchObject({ code: 'NotFound' });
  });
});

/** A gzip file of some 600 KiB: an archive with one file of 600 MiB of zeros. */
async function aBomb(): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: 'zeros', size: 600 * MIB });
  const { value: header } = await tar[Symbol.asyncIterator]().next();
  const zeros = gzipSync(Buffer.alloc(20 * MIB));
  return Buffer.concat([gzipSync(header as Buffer), ...Array.from({ length: 30 }, () => zeros)]);
}

/** Deploys a Dockerfile that follows on busybox; answers with how that ended and removes the deployment again. */
async function outcomeOf(line: string): Promise<Operation> {
  const dockerfile = `FROM scratch\nCOPY busybox /bin/busybox\n${line}\n`;
  const busybox = { name: 'busybox', mode: 0o755, data: await readFile('/bin/busybox') };
  const contextSha256 = await upload(await aTar({ name: 'Dockerfile', data: dockerfile }, busybox));
  before = await traces.read();
  const source = { case: 'dockerfile', value: { contextSha256 } } as const;
  const subject = await createSubject(api, aWebServer('', 'x', { source, command: [] }));
  const outcome = await subject.outcome();
  expect(outcome.state).toBe(OperationState.FAILED);
  expect(outcome.errorHint).not.toBe('');
  expect(await subject.get()).toMatchObject({ status: DeploymentStatus.FAILED, replicas: [] });
  await subject.remove();
  return outcome;
}

it('an image that says not what to run fails in these words', async () => {
  const { errorCode, errorMessage } = await outcomeOf('');
  expect(errorCode).toBe('INVALID_ARGUMENT');
  expect(errorMessage).toBe('there is nothing to run: neither the image nor the spec has a command');
});

describe('a Dockerfile that does not build', { timeout: 180_000 }, () => {
  it.each<[string, string, RegExp]>([
    [
      'with a step that fails',
      'RUN ["/bin/busybox", "sh", "-c", "echo cannot find main.c; exit 7"]',
      /cannot find main\.c/,
    ],
    ['with a file that is not there', 'COPY not-there /', /not-there/],
    ['with a word that is none', 'COPPY a b', /COPPY/i],
  ])('%s fails the operation with its last lines, and leaves nothing when it is removed', async (_, line, words) => {
    const { errorCode, errorMessage } = await outcomeOf(line);
    expect(errorCode).toBe('BUILD_FAILED');
    expect(errorMessage).toMatch(words);
  });
});

describe('a repeated call', () => {
  const name = () => `again-${randomUUID().slice(0, 8)}`;

  it('creates, updates and deletes a deployment once, and with other content is refused', async () => {
    const spec = { ...aWebServer(docker.corner.image, 'x'), replicas: 0 } as SpecInit;
    const other = { ...spec, port: 9 } as SpecInit;
    const keys = { create: randomUUID(), update: randomUUID(), delete: randomUUID() };
    const creation = { idempotencyKey: keys.create, projectId, name: name(), spec };
    const { create, update, remove } = {
      create: (changes = {}) => api.deployments.createDeployment({ ...creation, ...changes }),
      update: (id: string, wanted = other) =>
        api.deployments.updateDeployment({ idempotencyKey: keys.update, deploymentId: id, spec: wanted }),
      remove: (id: string, key = keys.delete) =>
        api.deployments.deleteDeployment({ idempotencyKey: key, deploymentId: id }),
    };
    const answers = await Promise.all([create(), create(), create()]);
    const [id = '', ...others] = new Set(answers.map(({ deployment }) => deployment?.id));
    expect(others).toEqual([]);
    for (const changes of [{ name: name() }, { spec: other }])
      expect(await refusalOf(create(changes))).toEqual(used(keys.create));

    await Promise.all([update(id), update(id)]);
    expect((await update(id)).deployment).toMatchObject({ id, revision: 2 });
    expect(await refusalOf(update(id, spec))).toEqual(used(keys.update));
    expect(await refusalOf(remove(id, keys.update))).toEqual(used(keys.update));

    const [first, second] = await Promise.all([remove(id), remove(id)]);
    expect(first.operation?.id).toBe(second.operation?.id);
    await eventually(async () =>
      expect(await refusalOf(api.deployments.getDeployment({ deploymentId: id }))).toMatchObject({ code: 'NotFound' }),
    );
    expect(await refusalOf(create())).toMatchObject({ code: 'FailedPrecondition', error: 'DEPLOYMENT_DELETED' });
  });

  it('creates and deletes a project once, and with other content is refused', async () => {
    const [key, deleteKey] = [randomUUID(), randomUUID()];
    const request = { idempotencyKey: key, organizationId, name: name() };
    const [first, second] = await Promise.all([
      api.projects.createProject(request),
      api.projects.createProject(request),
    ]);
    expect(first).toEqual(second);
    expect(await refusalOf(api.projects.createProject({ ...request, name: name() }))).toEqual(used(key));
    const taken = await refusalOf(api.projects.createProject({ ...request, idempotencyKey: randomUUID() }));
    expect(taken).toMatchObject({ code: 'AlreadyExists', error: 'NAME_TAKEN', field: 'name' });

    const deletion = { idempotencyKey: deleteKey, projectId: first.project?.id ?? '' };
    await api.projects.deleteProject(deletion);
    expect(await refusalOf(api.projects.deleteProject({ ...deletion, projectId }))).toEqual(used(deleteKey));
  });

  it('with a key of another call is refused, whichever call it was', async () => {
    const key = randomUUID();
    const project = await api.projects.createProject({ idempotencyKey: key, organizationId, name: name() });
    const { id = '' } = project.project ?? {};
    expect(await refusalOf(api.projects.deleteProject({ idempotencyKey: key, projectId: id }))).toEqual(used(key));
    await api.projects.deleteProject({ idempotencyKey: randomUUID(), projectId: id });
  });
});

/** The refusal of a key that stands for something else. */
function used(key: string): object {
  const message = `idempotency key ${key} was used for another request`;
  return { code: 'AlreadyExists', error: 'IDEMPOTENCY_CONFLICT', field: 'idempotency_key', message };
}

describe('a page', () => {
  it.each(['garbage', 'bm90IGEgdG9rZW4', 'W10', '%00', 'x'.repeat(513)])(
    'is refused for the token %s',
    async (token) => {
      const page = { token };
      for (const list of [
        () => api.deployments.listDeployments({ organizationId, page }),
        () => api.projects.listProjects({ organizationId, page }),
        () => api.organizations.listOrganizations({ page }),
        () => api.nodes.listNodes({ page }),
        () => api.routes.listRoutes({ organizationId, page }),
      ]) {
        expect(await refusalOf(list())).toMatchObject({ code: 'InvalidArgument', field: 'page.token' });
      }
    },
  );

  it('is refused for the token of another list, and for a size that is out of bounds', async () => {
    const extra = await api.projects.createProject({
      idempotencyKey: randomUUID(),
      organizationId,
      name: `page-${randomUUID().slice(0, 8)}`,
    });
    const { page } = await api.projects.listProjects({ organizationId, page: { size: 1 } });
    const token = page?.nextToken ?? '';
    expect(token).not.toBe('');
    const foreign = await refusalOf(api.deployments.listDeployments({ organizationId, page: { token } }));
    expect(foreign).toMatchObject({ code: 'InvalidArgument', field: 'page.token' });
    for (const size of [-1, 201]) {
      const refusal = await refusalOf(api.projects.listProjects({ organizationId, page: { size } }));
      expect(refusal).toMatchObject({ code: 'InvalidArgument', field: 'page.size' });
    }
    await api.projects.deleteProject({ idempotencyKey: randomUUID(), projectId: extra.project?.id ?? '' });
  });
});

describe('a request as curl sends it', () => {
  const METHOD = 'DeploymentsService/CreateDeployment';
  const valid = () => ({
    idempotencyKey: randomUUID(),
    projectId,
    name: `curl-${randomUUID().slice(0, 8)}`,
    spec: { image: { reference: 'nginx:1' }, port: 80 },
  });

  it.each<[string, (request: ReturnType<typeof valid>) => unknown, RegExp]>([
    ['is no JSON', () => '{"name": ', /JSON/],
    ['is no object', () => '[]', /CreateDeploymentRequest/],
    [
      'has a misspelt field',
      (request) => ({ ...request, spec: { ...request.spec, replica: 3 } }),
      /"replica" is unknown/,
    ],
    ['has text for a number', (request) => ({ ...request, spec: { ...request.spec, port: 'http' } }), /port.*"http"/],
    ['has a fraction', (request) => ({ ...request, spec: { ...request.spec, replicas: 1.5 } }), /replicas.*1\.5/],
    [
      'has a number beyond all bounds',
      (request) => ({ ...request, spec: { ...request.spec, port: 1e30 } }),
      /port.*1e\+30/,
    ],
    [
      'has an unknown word',
      (request) => ({ ...request, spec: { ...request.spec, restartPolicy: 'SOMETIMES' } }),
      /RestartPolicy.*"SOMETIMES"/,
    ],
    [
      'has two sources',
      (request) => ({ ...request, spec: { ...request.spec, dockerfile: {} } }),
      /image and dockerfile/,
    ],
  ])('is refused when it %s', async (_, change, finding) => {
    const answer = await rawCall(platform, METHOD, { body: change(valid()) });
    expect(answer).toMatchObject({ status: 400, code: 'invalid_argument' });
    expect(answer.message).toMatch(finding);
  });

  it('is refused with a type of content or an encoding that is none of ours', async () => {
    for (const type of ['text/plain', 'application/xml', 'multipart/form-data', 'application/x-www-form-urlencoded']) {
      const answer = await rawCall(platform, METHOD, { body: valid(), headers: { 'content-type': type } });
      expect(answer.status).toBe(415);
    }
    const headers = { 'content-encoding': 'snappy' };
    expect(await rawCall(platform, METHOD, { body: valid(), headers })).toMatchObject({
      status: 501,
      code: 'unimplemented',
    });
  });

  it('is refused in the same words as over gRPC and gRPC-Web', async () => {
    const bad = {
      ...valid(),
      spec: { source: { case: 'image', value: { reference: 'nginx' } }, port: 70_000 },
    } as const;
    const expected = { message: 'spec.port: found 70000; allowed is 1 to 65535', field: 'spec.port' };
    const asJson = await rawCall(platform, METHOD, {
      body: { ...valid(), spec: { image: { reference: 'nginx' }, port: 70_000 } },
    });
    expect(asJson).toMatchObject({ status: 400, code: 'invalid_argument', ...expected });
    const token = await accessToken(platform);
    const headers = { authorization: `Bearer ${token}` };
    const transports = [
      createGrpcTransport({ baseUrl: platform.apiUrl }),
      createGrpcWebTransport({ baseUrl: platform.apiUrl, httpVersion: '1.1' }),
    ];
    for (const transport of transports) {
      const client = createClient(DeploymentsService, transport);
      const refusal = await refusalOf(client.createDeployment(bad, { headers }));
      expect(refusal).toMatchObject({ code: 'InvalidArgument', error: 'INVALID_ARGUMENT', ...expected });
      expect(await refusalOf(client.createDeployment(bad))).toMatchObject({ code: 'Unauthenticated' });
    }
  });
});

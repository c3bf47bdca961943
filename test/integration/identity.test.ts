import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, createApi } from '../../cli/client.ts';
import { fixedToken } from '../../cli/tokens.ts';
import { eventually } from '../support/eventually.ts';
import { openApi } from '../support/platform.ts';
import { refusalOf } from '../support/refusal.ts';
import { aStrangeKey, openTokenForge, type TokenChanges, type TokenForge } from './access-tokens.ts';
import { firstProject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';
import { rawCall } from './raw-call.ts';

const platform = platformOfWorker();
const api = openApi(platform);
let forge: TokenForge;
beforeAll(async () => {
  forge = await openTokenForge(platform);
});
afterAll(() => api.close());

const WHO_AM_I = 'IdentityService/WhoAmI';
const now = () => Math.floor(Date.now() / 1000);

/** Calls with this as the whole authorization header. */
function callWith(authorization: string) {
  return rawCall(platform, WHO_AM_I, { body: {}, headers: { authorization } });
}

describe('a call is refused as unauthenticated', () => {
  it.each<[string, () => TokenChanges, RegExp]>([
    ['that has expired', () => ({ claims: { iat: now() - 7200, exp: now() - 3600 } }), /it has expired/],
    ['without an end', () => ({ claims: { exp: undefined } }), /no claim exp/],
    ['that is not valid yet', () => ({ claims: { nbf: now() + 3600 } }), /not valid yet/],
    ['of a foreign issuer', () => ({ claims: { iss: 'https://login.evil.example' } }), /another issuer/],
    ['of the same issuer by another name', () => ({ claims: { iss: 'http://localhost:7402' } }), /another issuer/],
    ['for another audience', () => ({ claims: { aud: 'billing' } }), /not meant for this api/],
    ['for no audience', () => ({ claims: { aud: undefined } }), /no claim aud/],
    ['without a subject', () => ({ claims: { sub: undefined } }), /no claim sub/],
    ['of another type', () => ({ header: { typ: 'logout+jwt' } }), /not an access token/],
    ['of another key', () => ({ key: aStrangeKey() }), /unknown key/],
    [
      'of another key under the id of a known one',
      () => ({ key: aStrangeKey(forge.key.kid) }),
      /signature is not valid/,
    ],
    [
      'with the signature of another token',
      () => ({ signature: forge.make({ claims: { sub: 'x' } }).split('.')[2] ?? '' }),
      /signature is not valid/,
    ],
    ['without signature', () => ({ signature: '' }), /malformed/],
    ['that says it needs none', () => ({ header: { alg: 'none' }, signature: '' }), /malformed/],
    ['that says it needs none, and has one', () => ({ header: { alg: 'none' } }), /algorithm is not allowed|malformed/],
    ['signed with the public key as a password', () => ({ header: { alg: 'HS256' } }), /algorithm is not allowed/],
  ])('with a token %s', async (_, changes, reason) => {
    const answer = await callWith(`Bearer ${forge.make(changes())}`);
    expect(answer).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(answer.message).toMatch(reason);
  });

  it.each<[string, () => string]>([
    ['nothing', () => ''],
    ['no token', () => 'Bearer'],
    ['noise', () => 'Bearer x'],
    ['a token cut in the middle', () => `Bearer ${forge.make().slice(0, -20)}`],
    ['a token with a part too many', () => `Bearer ${forge.make()}.e30`],
    ['two tokens', () => `Bearer ${forge.make()} ${forge.make()}`],
    ['a password', () => `Basic ${Buffer.from('dev:dev').toString('base64')}`],
    [
      'a token of 20,000 characters',
      () => `Bearer ${forge.make({ claims: { x: 'x'.repeat(14_000) } })}`.slice(0, 15_900),
    ],
  ])('with %s in its header', async (_, authorization) => {
    expect(await callWith(authorization())).toMatchObject({ status: 401, code: 'unauthenticated' });
  });

  it('with the ID token of the very same sign-in', async () => {
    const { issuer, clientId, refreshToken } = JSON.parse(
      await readFile(join(platform.stateDir, 'cli.json'), 'utf8'),
    ) as Record<string, string>;
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken ?? '', client_id: clientId ?? '' };
    const answer = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(form) });
    const { id_token: idToken } = (await answer.json()) as { id_token?: string };
    expect(idToken?.split('.')).toHaveLength(3);
    expect(await callWith(`Bearer ${idToken}`)).toMatchObject({ status: 401, code: 'unauthenticated' });
  });

  it('on every method, before anything of the request is looked at', async () => {
    const stranger = apiOf('nonsense');
    for (const call of everyCall(stranger, { organizationId: 'x', projectId: 'x', deploymentId: 'x' })) {
      expect(await refusalOf(call())).toMatchObject({ code: 'Unauthenticated', error: 'UNAUTHENTICATED' });
    }
    stranger.close();
  });
});

function apiOf(token: string): Api {
  return createApi({ url: platform.apiUrl, tokens: fixedToken(token) });
}

interface Ids {
  readonly organizationId: string;
  readonly projectId: string;
  readonly deploymentId: string;
}

const SPEC = { source: { case: 'image', value: { reference: 'nginx:1' } }, replicas: 0 } as const;

/** Every call that takes the id of something owned, each with valid content besides. */
function everyCall(as: Api, { organizationId, projectId, deploymentId }: Ids) {
  const idempotencyKey = randomUUID();
  const name = `mine-${randomUUID().slice(0, 8)}`;
  async function* upload() {
    yield { part: { case: 'header', value: { organizationId } } } as const;
  }
  return [
    () => as.organizations.getOrganization({ organizationId }),
    () => as.projects.createProject({ idempotencyKey, organizationId, name }),
    () => as.projects.getProject({ projectId }),
    () => as.projects.listProjects({ organizationId }),
    () => as.projects.deleteProject({ idempotencyKey, projectId }),
    () => as.deployments.createDeployment({ idempotencyKey, projectId, name, spec: SPEC }),
    () => as.deployments.getDeployment({ deploymentId }),
    () => as.deployments.listDeployments({ organizationId }),
    () => as.deployments.updateDeployment({ idempotencyKey, deploymentId, spec: SPEC }),
    () => as.deployments.deleteDeployment({ idempotencyKey, deploymentId }),
    () => as.deployments.watchDeployment({ deploymentId }),
    () => as.logs.streamLogs({ deploymentId }),
    () => as.metrics.streamMetrics({ deploymentId }),
    () => as.metrics.getLatestMetrics({ deploymentId }),
    () => as.routes.listRoutes({ organizationId }),
    () => as.sources.uploadContext(upload()),
  ];
}

describe("another organization's things", () => {
  let mallory: Api;
  /** What belongs to the platform's own user. */
  let foreign: Ids;
  /** What belongs to mallory. */
  let own: { readonly organizationId: string; readonly projectId: string };
  let name: string;

  beforeAll(async () => {
    mallory = apiOf(forge.make({ claims: { sub: `mallory-${randomUUID()}`, email: 'dev@localhost' } }));
    const organizationId = (await api.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
    const projectId = await firstProject(api);
    name = `private-${randomUUID().slice(0, 8)}`;
    const creation = { idempotencyKey: randomUUID(), projectId, name, spec: { ...SPEC, port: 80 } };
    const { deployment } = await api.deployments.createDeployment(creation);
    foreign = { organizationId, projectId, deploymentId: deployment?.id ?? '' };
    const mine = (await mallory.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
    own = { organizationId: mine, projectId: await firstProject(mallory) };
  });
  afterAll(async () => {
    await api.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId: foreign.deploymentId });
    await eventually(async () =>
      expect(await refusalOf(api.deployments.getDeployment({ deploymentId: foreign.deploymentId }))).toMatchObject({
        code: 'NotFound',
      }),
    );
    mallory.close();
  });

  it('answer in every field exactly as what does not exist', async () => {
    const unknown = { organizationId: randomUUID(), projectId: randomUUID(), deploymentId: randomUUID() };
    const of = (ids: Ids) => everyCall(mallory, ids);
    const asked = of(foreign);
    for (const [index, call] of of(unknown).entries()) {
      const expected = await refusalOf(call());
      expect(expected).toMatchObject({ code: 'NotFound', error: 'NOT_FOUND' });
      expect(await refusalOf((asked[index] ?? call)())).toEqual(expected);
    }
    expect(await api.deployments.getDeployment({ deploymentId: foreign.deploymentId })).toMatchObject({
      deployment: { name, revision: 1 },
    });
  });

  it('are not reached through an organization of the caller', async () => {
    const { organizationId } = own;
    const filtered = mallory.deployments.listDeployments({ organizationId, projectId: foreign.projectId });
    expect(await refusalOf(filtered)).toMatchObject({ code: 'NotFound' });
    expect((await mallory.deployments.listDeployments({ organizationId, name })).deployments).toEqual([]);
    expect((await mallory.routes.listRoutes({ organizationId })).routes).toEqual([]);
    const { organizations } = await mallory.organizations.listOrganizations({});
    expect(organizations.map(({ id }) => id)).toEqual([organizationId]);
  });

  it('are not reached by their idempotency keys: each organization has its own', async () => {
    const mine = { idempotencyKey: randomUUID(), organizationId: own.organizationId, name: 'same-key' };
    const theirs = { ...mine, organizationId: foreign.organizationId };
    const [first, second] = [await mallory.projects.createProject(mine), await api.projects.createProject(theirs)];
    expect(first.project?.id).not.toBe(second.project?.id);
    await mallory.projects.deleteProject({ idempotencyKey: randomUUID(), projectId: first.project?.id ?? '' });
    await api.projects.deleteProject({ idempotencyKey: randomUUID(), projectId: second.project?.id ?? '' });
  });

  it('are not built from by who knows the hash of their context', async () => {
    const tar = pack();
    tar.entry({ name: 'Dockerfile' }, `FROM scratch\nLABEL of=${randomUUID()}\n`);
    tar.finalize();
    async function* parts() {
      yield { part: { case: 'header', value: { organizationId: foreign.organizationId } } } as const;
      for await (const chunk of tar) yield { part: { case: 'chunk', value: chunk as Uint8Array } } as const;
    }
    const { contextSha256 } = await api.sources.uploadContext(parts());
    const buildOf = (hash: string) => {
      const source = { case: 'dockerfile', value: { contextSha256: hash } } as const;
      const creation = { idempotencyKey: randomUUID(), projectId: own.projectId, name: 'thief', spec: { source } };
      return refusalOf(mallory.deployments.createDeployment(creation));
    };
    const refusal = await buildOf(contextSha256);
    expect(refusal).toMatchObject({ code: 'InvalidArgument', field: 'spec.dockerfile.context_sha256' });
    expect(refusal).toEqual(await buildOf('0'.repeat(64)));
  });

  it('keep their hostname, whatever somebody else calls theirs', async () => {
    const creation = { idempotencyKey: randomUUID(), projectId: own.projectId, name, spec: { ...SPEC, port: 80 } };
    const { deployment } = await mallory.deployments.createDeployment(creation);
    const theirs = await api.deployments.getDeployment({ deploymentId: foreign.deploymentId });
    expect(deployment?.urls).toHaveLength(1);
    expect(deployment?.urls).not.toEqual(theirs.deployment?.urls);
    const deploymentId = deployment?.id ?? '';
    await mallory.deployments.deleteDeployment({ idempotencyKey: randomUUID(), deploymentId });
    await eventually(async () =>
      expect(await refusalOf(mallory.deployments.getDeployment({ deploymentId }))).toMatchObject({ code: 'NotFound' }),
    );
  });

  it('are not taken by whoever has the same e-mail address', async () => {
    const me = await mallory.identity.whoAmI({});
    expect(me.email).toBe((await api.identity.whoAmI({})).email);
    expect(me.memberships.map(({ organizationId }) => organizationId)).toEqual([own.organizationId]);
  });

  it('keep their name, and a creation that is repeated makes one organization', async () => {
    const creation = { idempotencyKey: randomUUID(), name: `mallory-${randomUUID().slice(0, 8)}` };
    const created = await mallory.organizations.createOrganization(creation);
    expect(await mallory.organizations.createOrganization(creation)).toEqual(created);
    const changed = await refusalOf(mallory.organizations.createOrganization({ ...creation, name: 'another' }));
    expect(changed).toMatchObject({ code: 'AlreadyExists', error: 'IDEMPOTENCY_CONFLICT' });
    const { organization } = await api.organizations.getOrganization({ organizationId: foreign.organizationId });
    const wanted = { idempotencyKey: randomUUID(), name: organization?.name ?? '' };
    const refusal = await refusalOf(mallory.organizations.createOrganization(wanted));
    expect(refusal).toMatchObject({ code: 'AlreadyExists', error: 'NAME_TAKEN', field: 'name' });
  });
});

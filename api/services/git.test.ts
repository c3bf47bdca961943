import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateDeployKey } from '../../adapters/git/deploy-key.ts';
import { decryptGitCredential } from '../../adapters/tokens/git-credential-envelope.ts';
import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import {
  GitCredentialKind,
  GitService,
  type SetGitCredentialRequestSchema,
} from '../../gen/obiente/cloud/v1/git_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';

type Request = Extract<MessageInitShape<typeof SetGitCredentialRequestSchema>, { $typeName?: never }>;

const NODES = ['node-00000001', 'node-00000002'];
const KEY = generateDeployKey();
const SSH = { case: 'ssh', value: { privateKey: KEY.privateKey } } as const;

let rig: ApiRig;
let alice: Awaited<ReturnType<ApiRig['user']>>;
const keys = NODES.map(() => generateNodeKeys());

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  for (const [index, nodeId] of NODES.entries()) {
    const signingJwk = JSON.stringify(keys[index]?.signing.publicJwk);
    const encryptionJwk = JSON.stringify(keys[index]?.encryption.publicJwk);
    await rig.clientOf(ControlService, '').enrolNode({ ...anEnrolment({ nodeId }), signingJwk, encryptionJwk });
  }
  await rig.store.recordNodeState({ nodeId: NODES[0] ?? '', state: 'ready', reason: '' });
});
afterAll(() => rig.stop());

const gitOf = (name: string) => rig.clientOf(GitService, name);

function https(password: string, username = 'robot') {
  return { case: 'https', value: { username, password } } as const;
}

function aCredential(organizationId: string, changes: Request = {}): Request {
  const secret = https('canary-of-a-repository');
  return { idempotencyKey: randomUUID(), organizationId, target: 'github.com', secret, ...changes };
}

/** A deployment of the user whose first revision the first node is to build. */
async function aBuild(user: Awaited<ReturnType<ApiRig['user']>>, url: string) {
  const name = `app-${randomUUID().slice(0, 8)}`;
  const spec = { source: { case: 'git', value: { url, dockerfilePath: 'Dockerfile' } } } as const;
  const creation = { idempotencyKey: randomUUID(), projectId: user.projectId, name, spec };
  const { deployment } = await user.deployments.createDeployment(creation);
  const ref = { deploymentId: deployment?.id ?? '', operationId: deployment?.operation?.id ?? '' };
  await rig.store.beginRollout(ref);
  return ref;
}

async function fetchAs(node: number, { deploymentId }: { deploymentId: string }, revision = 1) {
  const control = rig.clientOf(ControlService, `node:${NODES[node]}`);
  const { jwe } = await control.fetchSourceCredential({ deploymentId, revision, service: 'app' });
  const key = keys[node]?.encryption.privateJwk;
  return jwe === '' || !key ? undefined : await decryptGitCredential(key, jwe);
}

describe('a git credential', () => {
  it('is stored once for a key, listed without its secret, replaced and deleted by kind', async () => {
    const { organizationId } = await rig.user('bob');
    const git = gitOf('bob');
    const first = aCredential(organizationId, { target: 'GitHub.com' });
    const { credential } = await git.setGitCredential(first);
    expect(credential).toMatchObject({ target: 'github.com', username: 'robot', kind: GitCredentialKind.HTTPS });
    expect((await git.setGitCredential(first)).credential).toEqual(credential);
    const key = (await git.setGitCredential(aCredential(organizationId, { secret: SSH }))).credential;
    expect(key).toMatchObject({ kind: GitCredentialKind.SSH, username: '' });
    expect(KEY.publicKey).toContain(key?.publicKey);
    const other = aCredential(organizationId, { secret: https('another') });
    const replaced = (await git.setGitCredential(other)).credential;
    const { credentials } = await git.listGitCredentials({ organizationId });
    expect(credentials.map(({ id }) => id).sort()).toEqual([key?.id, replaced?.id].sort());
    expect(await refusalOf(git.setGitCredential(first))).toMatchObject({ code: 'NotFound' });
    const conflict = git.setGitCredential({ ...other, secret: https('a third') });
    expect(await refusalOf(conflict)).toMatchObject({ error: 'IDEMPOTENCY_CONFLICT' });

    const deletion = { idempotencyKey: randomUUID(), organizationId, target: 'github.com' };
    await git.deleteGitCredential({ ...deletion, kind: GitCredentialKind.HTTPS });
    expect((await git.listGitCredentials({ organizationId })).credentials).toEqual([key]);
    await git.deleteGitCredential({ ...deletion, idempotencyKey: randomUUID() });
    const again = git.deleteGitCredential({ ...deletion, idempotencyKey: randomUUID() });
    expect(await refusalOf(again)).toMatchObject({ code: 'NotFound' });
  });

  it('is a key that the platform makes, the same one for a repeated request', async () => {
    const { organizationId } = await rig.user('maker');
    const asked = aCredential(organizationId, { secret: { case: 'ssh', value: {} } });
    const { credential } = await gitOf('maker').setGitCredential(asked);
    expect(credential?.publicKey).toMatch(/^ssh-ed25519 \S+ obiente$/);
    expect((await gitOf('maker').setGitCredential(asked)).credential).toEqual(credential);
  });

  it.each<[string, Request]>([
    ['target', { target: 'localhost' }],
    ['target', { target: 'https://user:canary@github.com/a' }],
    ['target', { target: '10.0.0.1/a' }],
    ['https.username', { secret: https('x', 'a:b') }],
    ['https.password', { secret: https('') }],
    ['https.password', { secret: https('canary\nx') }],
    ['ssh.private_key', { secret: { case: 'ssh', value: { privateKey: 'canary' } } }],
    ['ssh.known_hosts', { secret: { case: 'ssh', value: { knownHosts: 'canary' } } }],
  ])('is refused by its %s: %j', async (field, change) => {
    const refusal = await refusalOf(gitOf('alice').setGitCredential(aCredential(alice.organizationId, change)));
    expect(refusal).toMatchObject({ code: 'InvalidArgument', field });
    expect(JSON.stringify(refusal)).not.toContain('canary');
  });

  it('has its secret in no table', async () => {
    const secrets = [https('canary-of-a-table'), SSH];
    for (const secret of secrets) await gitOf('alice').setGitCredential(aCredential(alice.organizationId, { secret }));
    const keyLine = KEY.privateKey.split('\n')[2] ?? '';
    for (const table of ['git_credentials', 'mutation_keys'] as const) {
      const { rows } = await sql<{ row: string }>`SELECT t::text AS row FROM ${sql.table(table)} t`.execute(rig.db);
      expect(rows.length).toBeGreaterThan(0);
      for (const secret of ['canary', keyLine]) expect(JSON.stringify(rows)).not.toContain(secret);
    }
  });
});

describe('a source', () => {
  it.each([
    'https://127.0.0.1/a.git',
    'https://[::1]/a.git',
    'https://0x7f000001/a.git',
    'https://metadata.internal/a.git',
    'https://user:canary@github.com/a.git',
    'git://github.com/a.git',
    'ext::sh -c id',
    '-oProxyCommand=id@github.com:x',
    'ssh://-oProxyCommand=id/x',
    'file:///etc/passwd',
    '/etc',
  ])('is refused when it is made and when it is changed: %s', async (url) => {
    const spec = { source: { case: 'git', value: { url } } } as const;
    const name = `app-${randomUUID().slice(0, 8)}`;
    const creation = { idempotencyKey: randomUUID(), projectId: alice.projectId, name, spec };
    const made = await refusalOf(alice.deployments.createDeployment(creation));
    const good = { ...creation, spec: { source: { case: 'git', value: { url: 'https://github.com/a' } } } as const };
    const { deployment } = await alice.deployments.createDeployment({ ...good, idempotencyKey: randomUUID() });
    const change = { idempotencyKey: randomUUID(), deploymentId: deployment?.id ?? '', spec };
    const replaced = await refusalOf(alice.deployments.updateDeployment(change));
    const masked = { ...change, idempotencyKey: randomUUID(), updateMask: { paths: ['git'] } };
    const changed = await refusalOf(alice.deployments.updateDeployment(masked));
    for (const refusal of [made, replaced, changed]) {
      expect(refusal).toMatchObject({ code: 'InvalidArgument', field: 'spec.git.url' });
      expect(JSON.stringify(refusal)).not.toContain('canary');
    }
  });
});

describe('a node', () => {
  it('gets the credential of the repository before that of its server, by the protocol of the address', async () => {
    const user = await rig.user('chooser');
    const of = (changes: Request) => gitOf('chooser').setGitCredential(aCredential(user.organizationId, changes));
    await of({ secret: https('of the server') });
    await of({ secret: https('of the repository'), target: 'github.com/acme/shop' });
    await of({ secret: { case: 'ssh', value: { ...SSH.value, knownHosts: 'github.com ssh-ed25519 AAAA' } } });
    const shop = await fetchAs(0, await aBuild(user, 'https://github.com/acme/shop.git'));
    expect(shop).toEqual({ kind: 'https', username: 'robot', password: 'of the repository' });
    const other = await fetchAs(0, await aBuild(user, 'https://github.com/acme/other'));
    expect(other).toMatchObject({ password: 'of the server' });
    const key = await fetchAs(0, await aBuild(user, 'git@github.com:acme/shop.git'));
    expect(key).toEqual({ kind: 'ssh', privateKey: KEY.privateKey, knownHosts: 'github.com ssh-ed25519 AAAA' });
    expect(await fetchAs(0, await aBuild(user, 'https://gitlab.com/acme/shop'))).toBeUndefined();
  });

  it('gets it only while it builds that service, and never that of another organization', async () => {
    await gitOf('alice').setGitCredential(aCredential(alice.organizationId, { target: 'gitea.com' }));
    const build = await aBuild(alice, 'https://gitea.com/acme/shop');
    expect(await fetchAs(0, build)).toMatchObject({ username: 'robot' });
    expect(await fetchAs(1, build)).toBeUndefined();
    expect(await fetchAs(0, build, 2)).toBeUndefined();
    const mallory = await rig.user('mallory');
    expect(await fetchAs(0, await aBuild(mallory, 'https://gitea.com/acme/shop'))).toBeUndefined();
    await rig.store.recordBuild({ ...build, service: 'app', revision: 1, imageId: `sha256:${'b'.repeat(64)}` });
    expect(await fetchAs(0, build)).toBeUndefined();
    const failed = await aBuild(alice, 'https://gitea.com/acme/shop');
    await rig.store.failOperation({ ...failed, failure: { code: 'BUILD_FAILED', message: 'x', hint: '' } });
    expect(await fetchAs(0, failed)).toBeUndefined();
  });
});

import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { decryptRegistryCredential } from '../../adapters/tokens/registry-credential-envelope.ts';
import { RegistriesService } from '../../gen/obiente/cloud/v1/registries_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';

const NODES = ['node-00000001', 'node-00000002'];
const PASSWORD = 'canary-of-a-registry-4711';

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

function registriesOf(name: string) {
  return rig.clientOf(RegistriesService, name);
}

function aCredential(organizationId: string, changes: { host?: string; username?: string; password?: string } = {}) {
  const content = { host: 'ghcr.io', username: 'robot', password: PASSWORD, ...changes };
  return { idempotencyKey: randomUUID(), organizationId, ...content };
}

/** A deployment of the user with a replica on the first node. */
async function aPlaced(user: Awaited<ReturnType<ApiRig['user']>>, reference: string): Promise<string> {
  const name = `app-${randomUUID().slice(0, 8)}`;
  const spec = { source: { case: 'image', value: { reference } } } as const;
  const creation = { idempotencyKey: randomUUID(), projectId: user.projectId, name, spec };
  const { deployment } = await user.deployments.createDeployment(creation);
  const deploymentId = deployment?.id ?? '';
  await rig.store.beginRollout({ deploymentId, operationId: deployment?.operation?.id ?? '' });
  return deploymentId;
}

async function fetchAs(node: number, deploymentId: string, revision = 1) {
  const control = rig.clientOf(ControlService, `node:${NODES[node]}`);
  const { jwe } = await control.fetchRegistryCredential({ deploymentId, revision, service: 'app' });
  const key = keys[node]?.encryption.privateJwk;
  return jwe === '' || !key ? undefined : await decryptRegistryCredential(key, jwe);
}

describe('a registry credential', () => {
  it('is stored once for a key, listed without its password, replaced and deleted', async () => {
    const { organizationId } = await rig.user('bob');
    const registries = registriesOf('bob');
    const first = aCredential(organizationId, { host: 'GHCR.io' });
    const { credential } = await registries.setRegistryCredential(first);
    expect(credential).toMatchObject({ host: 'ghcr.io', username: 'robot', organizationId });
    expect(credential?.fingerprint).toMatch(/^[0-9a-f]{12}$/);
    expect((await registries.setRegistryCredential(first)).credential).toEqual(credential);

    const replacement = aCredential(organizationId, { username: 'other', password: 'another password' });
    const replaced = (await registries.setRegistryCredential(replacement)).credential;
    expect(replaced?.id).not.toBe(credential?.id);
    expect(replaced?.fingerprint).not.toBe(credential?.fingerprint);
    const { credentials } = await registries.listRegistryCredentials({ organizationId });
    expect(credentials).toEqual([replaced]);
    expect(await refusalOf(registries.setRegistryCredential(first))).toMatchObject({ code: 'NotFound' });

    const deletion = { idempotencyKey: randomUUID(), organizationId, host: 'ghcr.io' };
    await registries.deleteRegistryCredential(deletion);
    await registries.deleteRegistryCredential(deletion);
    expect((await registries.listRegistryCredentials({ organizationId })).credentials).toEqual([]);
    const again = { ...deletion, idempotencyKey: randomUUID() };
    expect(await refusalOf(registries.deleteRegistryCredential(again))).toMatchObject({ code: 'NotFound' });
  });

  it('is another request with another password, under the same key', async () => {
    const { organizationId } = await rig.user('conflicted');
    const registries = registriesOf('conflicted');
    const first = aCredential(organizationId);
    await registries.setRegistryCredential(first);
    for (const change of [{ password: 'another password' }, { username: 'other' }, { host: 'quay.io' }]) {
      const refusal = await refusalOf(registries.setRegistryCredential({ ...first, ...change }));
      expect(refusal).toMatchObject({ error: 'IDEMPOTENCY_CONFLICT' });
    }
  });

  it('is listed page by page, oldest first', async () => {
    const { organizationId } = await rig.user('pages');
    const registries = registriesOf('pages');
    const hosts = ['a.example', 'b.example', 'c.example'];
    for (const host of hosts) await registries.setRegistryCredential(aCredential(organizationId, { host }));
    const listed = [];
    for (let token = ''; ; ) {
      const answer = await registries.listRegistryCredentials({ organizationId, page: { size: 1, token } });
      listed.push(...answer.credentials.map(({ host }) => host));
      token = answer.page?.nextToken ?? '';
      if (token === '') break;
    }
    expect(listed).toEqual(hosts);
  });

  it.each([
    ['host', { host: 'https://ghcr.io' }],
    ['host', { host: 'ghcr.io/acme' }],
    ['host', { host: '127.0.0.1:5000' }],
    ['host', { host: 'registry.internal' }],
    ['host', { host: '' }],
    ['username', { username: '' }],
    ['username', { username: 'a:b' }],
    ['username', { username: 'a\nb' }],
    ['password', { password: '' }],
    ['password', { password: 'p'.repeat(16_385) }],
  ])('is refused by its %s: %j', async (field, change) => {
    const refusal = await refusalOf(
      registriesOf('alice').setRegistryCredential(aCredential(alice.organizationId, change)),
    );
    expect(refusal).toMatchObject({ code: 'InvalidArgument', field });
    expect(JSON.stringify(refusal)).not.toContain('ppp');
  });

  it('has its password in no table', async () => {
    await registriesOf('alice').setRegistryCredential(aCredential(alice.organizationId, { host: 'secret.example' }));
    for (const table of ['registry_credentials', 'mutation_keys', 'organization_keys'] as const) {
      const { rows } = await sql<{ row: string }>`SELECT t::text AS row FROM ${sql.table(table)} t`.execute(rig.db);
      expect(rows.length).toBeGreaterThan(0);
      expect(JSON.stringify(rows)).not.toContain('canary');
    }
  });
});

describe('a node', () => {
  it('gets the credential for the image of what it runs, encrypted for it alone, and nobody else gets it', async () => {
    const { credential } = await registriesOf('alice').setRegistryCredential(aCredential(alice.organizationId));
    const deploymentId = await aPlaced(alice, 'ghcr.io/acme/app:1');
    expect(await fetchAs(0, deploymentId)).toEqual({ id: credential?.id, username: 'robot', password: PASSWORD });
    expect(await fetchAs(1, deploymentId)).toBeUndefined();
    expect(await fetchAs(0, deploymentId, 2)).toBeUndefined();
    expect(await fetchAs(0, randomUUID())).toBeUndefined();
  });

  it('gets none for another registry, nor that of another organization', async () => {
    const mallory = await rig.user('mallory');
    await registriesOf('mallory').setRegistryCredential(aCredential(mallory.organizationId, { host: 'quay.io' }));
    await registriesOf('alice').setRegistryCredential(aCredential(alice.organizationId));
    expect(await fetchAs(0, await aPlaced(alice, 'quay.io/acme/app:1'))).toBeUndefined();
    expect(await fetchAs(0, await aPlaced(mallory, 'ghcr.io/acme/app:1'))).toBeUndefined();
    expect(await fetchAs(0, await aPlaced(alice, 'nginx:1'))).toBeUndefined();
  });

  it('gets that of Docker Hub for a reference without a registry', async () => {
    const hub = await rig.user('hub');
    await registriesOf('hub').setRegistryCredential(aCredential(hub.organizationId, { host: 'index.docker.io' }));
    expect(await fetchAs(0, await aPlaced(hub, 'acme/app:1'))).toMatchObject({ username: 'robot' });
    expect(await fetchAs(0, await aPlaced(hub, 'ghcr.io/acme/app:1'))).toBeUndefined();
  });

  it('gets nothing out of a password that was copied to another registry or organization', async () => {
    const [from, to] = [await rig.user('copied-from'), await rig.user('copied-to')];
    const copies = [
      { user: from, host: 'copy.example' },
      { user: to, host: 'ghcr.io' },
    ];
    await registriesOf('copied-from').setRegistryCredential(aCredential(from.organizationId));
    const sealed = rig.db
      .selectFrom('registry_credentials')
      .select('sealed_password')
      .where('organization_id', '=', from.organizationId)
      .where('host', '=', 'ghcr.io');
    for (const { user, host } of copies) {
      await registriesOf(user.name).setRegistryCredential(aCredential(user.organizationId, { host, password: 'own' }));
      await rig.db
        .updateTable('registry_credentials')
        .set({ sealed_password: sealed })
        .where('organization_id', '=', user.organizationId)
        .where('host', '=', host)
        .execute();
      const refusal = await refusalOf(fetchAs(0, await aPlaced(user, `${host}/acme/app:1`)));
      expect(refusal).toMatchObject({ code: 'Internal' });
      expect(JSON.stringify(refusal)).not.toContain('canary');
    }
  });
});

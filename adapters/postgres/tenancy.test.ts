import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { aCreation, aTenant, NOTHING_LEFT } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { recordBuildContext, renewBuildContext } from './build-contexts.ts';
import { createDeploymentStore } from './deployment-store.ts';
import type { Mutation } from './mutation-keys.ts';
import { createOrganization, findOrganization, listOrganizations } from './organizations.ts';
import { findOrganizationOf, findRole, pingDatabase } from './ownership.ts';
import { createProject, deleteProject, findProject, listProjects } from './projects.ts';
import { ensureUser } from './users.ts';

const database = useTestDatabase();

function aMutation(content = 'same'): Mutation {
  const requestHash = Buffer.from(content).toString('hex').padEnd(64, '0').slice(0, 64);
  return { idempotencyKey: `key-${randomUUID()}`, requestHash };
}

function aName(): string {
  return `n${randomUUID()}`;
}

describe('a user', () => {
  it('is created once with an organization and a project, however many first calls come at once', async () => {
    const identity = { issuer: 'https://issuer.test', subject: randomUUID(), email: 'ann.lee+cloud@example.test' };
    const users = await Promise.all(Array.from({ length: 20 }, () => ensureUser(database.db, identity)));
    expect(new Set(users.map((user) => user.userId)).size).toBe(1);
    const [membership, ...others] = users[0]?.memberships ?? [];
    expect(others).toEqual([]);
    expect(membership).toMatchObject({ organizationName: 'ann-lee-cloud', role: 'owner' });
    const organizationId = membership?.organizationId ?? '';
    const projects = await listProjects(database.db, { organizationId, limit: 10 });
    expect(projects.map((project) => project.name)).toEqual(['default']);
  });

  it('is another one under another issuer, and gets another organization name', async () => {
    const subject = randomUUID();
    const email = `same-${subject.slice(0, 8)}@example.test`;
    const one = await ensureUser(database.db, { issuer: 'https://one.test', subject, email });
    const two = await ensureUser(database.db, { issuer: 'https://two.test', subject, email });
    expect(two.userId).not.toBe(one.userId);
    expect(two.memberships[0]?.organizationName).toMatch(/^same-\w{8}-[0-9a-f]{6}$/);
  });

  it.each([
    ['', '1'],
    ['', '日本'],
    ['-@x', '--'],
    ['0123@x.test', '9'],
    [`${'a'.repeat(300)}@x`, 'long'],
    ['', `urn:${'x'.repeat(251)}`],
  ])('gets a valid organization name from e-mail %j and subject %j', async (email, subject) => {
    const { memberships } = await ensureUser(database.db, { issuer: `https://${randomUUID()}.test`, subject, email });
    expect(memberships[0]?.organizationName).toMatch(/^[a-z]([a-z0-9-]*[a-z0-9])$/);
  });

  it('has its e-mail kept up to date, and not lost', async () => {
    const identity = { issuer: 'https://issuer.test', subject: randomUUID() };
    await ensureUser(database.db, { ...identity, email: 'old@example.test' });
    await ensureUser(database.db, { ...identity, email: 'new@example.test' });
    const { userId } = await ensureUser(database.db, { ...identity, email: '' });
    const user = database.db.selectFrom('users').select('email').where('id', '=', userId);
    expect(await user.executeTakeFirst()).toEqual({ email: 'new@example.test' });
  });
});

describe('an organization', () => {
  it('is created once for one key, with its creator as owner and a project', async () => {
    const { userId } = await aTenant(database.db);
    const wanted = { userId, name: aName(), ...aMutation() };
    const created = await Promise.all([1, 2, 3, 4, 5].map(() => createOrganization(database.db, wanted)));
    expect(new Set(created.map((organization) => organization.id)).size).toBe(1);
    const organizationId = created[0]?.id ?? '';
    expect(await findOrganization(database.db, organizationId)).toEqual(created[0]);
    expect(await findRole(database.db, { userId, organizationId })).toBe('owner');
    expect(await listProjects(database.db, { organizationId, limit: 10 })).toMatchObject([{ name: 'default' }]);
  });

  it('is refused when its name is taken or its key was used for something else', async () => {
    const { userId } = await aTenant(database.db);
    const first = { userId, name: aName(), ...aMutation() };
    await createOrganization(database.db, first);
    const again = createOrganization(database.db, { ...aMutation(), userId, name: first.name });
    await expect(again).rejects.toMatchObject({ code: 'NAME_TAKEN', field: 'name' });
    const other = { ...first, name: aName(), requestHash: 'f'.repeat(64) };
    await expect(createOrganization(database.db, other)).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
  });

  it('lists page by page without leaving one out or giving one twice', async () => {
    const { userId } = await aTenant(database.db);
    for (let count = 0; count < 6; count += 1) {
      await createOrganization(database.db, { userId, name: aName(), ...aMutation() });
    }
    const all = await listOrganizations(database.db, { userId, limit: 100 });
    expect(all).toHaveLength(7);
    const paged: typeof all = [];
    for (let page = all.slice(0, 0); paged.length === 0 || page.length > 0; paged.push(...page)) {
      page = await listOrganizations(database.db, { userId, limit: 3, after: paged.at(-1) });
    }
    expect(paged).toEqual(all);
    expect(await listOrganizations(database.db, { userId: randomUUID(), limit: 10 })).toEqual([]);
  });
});

describe('a project', () => {
  it('is created once for one key, and its name is unique in its organization only', async () => {
    const [one, two] = [await aTenant(database.db), await aTenant(database.db)];
    const wanted = { organizationId: one.organizationId, name: 'shop', ...aMutation() };
    const project = await createProject(database.db, wanted);
    expect(await createProject(database.db, wanted)).toEqual(project);
    await expect(createProject(database.db, { ...wanted, ...aMutation() })).rejects.toMatchObject({
      code: 'NAME_TAKEN',
    });
    const elsewhere = createProject(database.db, { ...wanted, organizationId: two.organizationId });
    await expect(elsewhere).resolves.toMatchObject({ name: 'shop' });
  });

  it('is deleted once it is empty, and a repeated delete succeeds', async () => {
    const tenant = await aTenant(database.db);
    const { organizationId, projectId } = tenant;
    const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
    const store = createDeploymentStore(database.db, { domain: 'example.test', placement });
    const creation = aCreation(tenant);
    const { operationId } = await store.storeOperation(creation);
    const deletion = { organizationId, projectId, ...aMutation() };
    await expect(deleteProject(database.db, deletion)).rejects.toMatchObject({ code: 'PROJECT_NOT_EMPTY' });
    await store.purgeDeployment({ deploymentId: creation.deploymentId, operationId, ...NOTHING_LEFT });
    await Promise.all([deleteProject(database.db, deletion), deleteProject(database.db, deletion)]);
    expect(await findProject(database.db, projectId)).toBeUndefined();
    await expect(deleteProject(database.db, { ...deletion, ...aMutation() })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('of another organization is not found by a delete', async () => {
    const [mine, theirs] = [await aTenant(database.db), await aTenant(database.db)];
    const stolen = { organizationId: mine.organizationId, projectId: theirs.projectId, ...aMutation() };
    await expect(deleteProject(database.db, stolen)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await findProject(database.db, theirs.projectId)).toBeDefined();
    expect(await findOrganizationOf(database.db, 'project', theirs.projectId)).toBe(theirs.organizationId);
  });
});

describe('ownership', () => {
  it('is known of what exists and of what has been deleted, and of nothing else', async () => {
    const tenant = await aTenant(database.db);
    const { organizationId, projectId } = tenant;
    const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
    const store = createDeploymentStore(database.db, { domain: 'example.test', placement });
    const creation = aCreation(tenant);
    const { operationId } = await store.storeOperation(creation);
    const { deploymentId } = creation;
    const owners = () =>
      Promise.all([
        findOrganizationOf(database.db, 'organization', organizationId),
        findOrganizationOf(database.db, 'project', projectId),
        findOrganizationOf(database.db, 'deployment', deploymentId),
        findOrganizationOf(database.db, 'operation', operationId),
      ]);
    expect(new Set(await owners())).toEqual(new Set([organizationId]));
    await store.purgeDeployment({ deploymentId, operationId, ...NOTHING_LEFT });
    await deleteProject(database.db, { organizationId, projectId, ...aMutation() });
    expect(new Set(await owners())).toEqual(new Set([organizationId]));
    for (const kind of ['organization', 'project', 'deployment', 'route', 'operation'] as const) {
      expect(await findOrganizationOf(database.db, kind, randomUUID())).toBeUndefined();
    }
    expect(await findRole(database.db, { userId: randomUUID(), organizationId })).toBeUndefined();
    await expect(pingDatabase(database.db)).resolves.toBeUndefined();
  });

  it('of a deployment is its project’s: the database refuses anything else', async () => {
    const [mine, theirs] = [await aTenant(database.db), await aTenant(database.db)];
    const mixed = database.db.insertInto('deployments').values({
      id: randomUUID(),
      organization_id: mine.organizationId,
      project_id: theirs.projectId,
      name: 'app',
      revision: 0,
    });
    await expect(mixed.execute()).rejects.toMatchObject({ code: '23503' });
  });
});

describe('what an organization keeps', () => {
  it('are build contexts of its own', async () => {
    const [mine, theirs] = [await aTenant(database.db), await aTenant(database.db)];
    const context = { sha256: 'a'.repeat(64), sizeBytes: 5_000_000_000, entries: 12 };
    await recordBuildContext(database.db, { organizationId: mine.organizationId, ...context });
    await recordBuildContext(database.db, { organizationId: mine.organizationId, ...context });
    const { sha256 } = context;
    expect(await renewBuildContext(database.db, { organizationId: mine.organizationId, sha256 })).toEqual(context);
    expect(await renewBuildContext(database.db, { organizationId: theirs.organizationId, sha256 })).toBeUndefined();
  });
});

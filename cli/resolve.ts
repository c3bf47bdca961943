import { createHash } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import { DomainError } from '../domain/errors.ts';
import type { Deployment } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import type { Organization } from '../gen/obiente/cloud/v1/organizations_pb.ts';
import type { Project } from '../gen/obiente/cloud/v1/projects_pb.ts';
import type { Api } from './client.ts';
import { allPages } from './pages.ts';

/** The project of deployments for which none is named; made with the first of them. */
export const DEFAULT_PROJECT = 'default';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a text is an id rather than a name. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

/** Lists the caller's organizations, oldest first. */
export async function listOrganizations(api: Api): Promise<readonly Organization[]> {
  return await allPages(async (page) => {
    const answer = await api.organizations.listOrganizations({ page });
    return { items: answer.organizations, page: answer.page };
  });
}

/** Lists an organization's projects, oldest first. */
export async function listProjects(api: Api, organizationId: string): Promise<readonly Project[]> {
  return await allPages(async (page) => {
    const answer = await api.projects.listProjects({ organizationId, page });
    return { items: answer.projects, page: answer.page };
  });
}

/** The organization by name or id; without one the caller's first, which is the personal one. @throws NOT_FOUND */
export async function getOrganization(api: Api, wanted: string | undefined): Promise<Organization> {
  const organizations = await listOrganizations(api);
  const found = organizations.find(({ id, name }) => wanted === undefined || id === wanted || name === wanted);
  if (found !== undefined) return found;
  throw new DomainError(
    'NOT_FOUND',
    wanted === undefined ? 'you belong to no organization' : `organization ${wanted} not found`,
    {
      hint: 'Run "obiente orgs" to see yours.',
    },
  );
}

/** The project by name or id. @throws NOT_FOUND */
export async function getProject(api: Api, organizationId: string, wanted: string): Promise<Project> {
  const found = (await listProjects(api, organizationId)).find(({ id, name }) => id === wanted || name === wanted);
  if (found !== undefined) return found;
  throw new DomainError('NOT_FOUND', `project ${wanted} not found`, {
    hint: 'Run "obiente projects" to see those that exist, or "obiente projects create" for a new one.',
  });
}

/** The project of a new deployment; the one called `default` is created when it is missing. @throws NOT_FOUND */
export async function ensureProject(api: Api, organizationId: string, wanted: string): Promise<Project> {
  if (wanted !== DEFAULT_PROJECT) return await getProject(api, organizationId, wanted);
  const find = async (): Promise<Project | undefined> =>
    (await listProjects(api, organizationId)).find(({ name }) => name === DEFAULT_PROJECT);
  const found = await find();
  if (found !== undefined) return found;
  try {
    const idempotencyKey = `default-project-${createHash('sha256').update(organizationId).digest('hex').slice(0, 16)}`;
    const { project } = await api.projects.createProject({ idempotencyKey, organizationId, name: DEFAULT_PROJECT });
    if (project !== undefined) return project;
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.AlreadyExists) throw error;
  }
  return (await find()) ?? (await getProject(api, organizationId, wanted));
}

/** The deployment of this name; `undefined` when there is none. @throws INVALID_ARGUMENT when several have it. */
export async function findDeployment(
  api: Api,
  place: { organizationId: string; projectId: string | undefined; name: string },
): Promise<Deployment | undefined> {
  const { organizationId, projectId = '', name } = place;
  const { deployments } = await api.deployments.listDeployments({ organizationId, projectId, name, page: { size: 2 } });
  if (deployments.length < 2) return deployments[0];
  throw new DomainError('INVALID_ARGUMENT', `several projects have a deployment ${name}`, {
    field: 'name',
    hint: 'Name the project with --project, or give the id of the deployment.',
  });
}

/** The deployment by name or id. @throws NOT_FOUND; INVALID_ARGUMENT when several have the name. */
export async function getDeployment(
  api: Api,
  wanted: { name: string; organization: string | undefined; project: string | undefined },
): Promise<Deployment> {
  const { name, organization, project } = wanted;
  if (isId(name)) return required((await api.deployments.getDeployment({ deploymentId: name })).deployment, name);
  const { id: organizationId } = await getOrganization(api, organization);
  const projectId = project === undefined ? undefined : (await getProject(api, organizationId, project)).id;
  return required(await findDeployment(api, { organizationId, projectId, name }), name);
}

function required(deployment: Deployment | undefined, name: string): Deployment {
  if (deployment !== undefined) return deployment;
  throw new DomainError('NOT_FOUND', `deployment ${name} not found`, {
    hint: 'Run "obiente ls" to see those that exist.',
  });
}

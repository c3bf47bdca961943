import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import {
  createProject,
  deleteProject,
  findProject,
  listProjects,
  type ProjectRecord,
} from '../../adapters/postgres/projects.ts';
import { notFound } from '../../domain/errors.ts';
import type { ProjectSchema, ProjectsService } from '../../gen/obiente/cloud/v1/projects_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';

/** Creates the service of projects. */
export function createProjectsService({ db }: { readonly db: Database }): ServiceImpl<typeof ProjectsService> {
  return {
    async createProject({ idempotencyKey, name }, context) {
      const organizationId = getCallerOrganization(context);
      const requestHash = hashRequest('CreateProject', name);
      return { project: toWire(await createProject(db, { organizationId, name, idempotencyKey, requestHash })) };
    },
    async getProject({ projectId }) {
      const project = await findProject(db, projectId.toLowerCase());
      if (!project) throw notFound('project');
      return { project: toWire(project) };
    },
    async listProjects(request, context) {
      const organizationId = getCallerOrganization(context);
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'projects', filters: [organizationId] },
        forms: CREATED_FORMS,
        keyOf: createdKey,
        read: ({ limit, after }) => listProjects(db, { organizationId, limit, after: createdCursor(after) }),
      });
      return { projects: rows.map(toWire), page };
    },
    async deleteProject({ idempotencyKey, projectId: id }, context) {
      const projectId = id.toLowerCase();
      const requestHash = hashRequest('DeleteProject', projectId);
      const organizationId = getCallerOrganization(context);
      await deleteProject(db, { organizationId, projectId, idempotencyKey, requestHash });
      return {};
    },
  };
}

function toWire(project: ProjectRecord): MessageInitShape<typeof ProjectSchema> {
  const { id, organizationId, name, createdAt } = project;
  return { id, organizationId, name, createdAt: timestampFromDate(createdAt) };
}

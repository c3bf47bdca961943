import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { type Project, ProjectSchema } from '../../gen/obiente/cloud/v1/projects_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { getOrganization, getProject, listProjects } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

interface KeyOption {
  readonly idempotencyKey?: string;
}

/** Adds `obiente projects` with `list`, `create` and `rm`. */
export function addProjects(program: Command, context: CliContext): void {
  const projects = program.command('projects').description('list, create and delete projects');
  projects
    .command('list', { isDefault: true })
    .alias('ls')
    .description('list the projects of the organization')
    .action(
      action<object, []>(context, async ({ openApi, organization, terminal }) => {
        const api = await openApi();
        const found = await listProjects(api, (await getOrganization(api, organization)).id);
        const columns: readonly Column<Project>[] = [
          { heading: 'NAME', cell: ({ name }) => name },
          { heading: 'ID', cell: ({ id }) => id },
          { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
        ];
        terminal.document(found.map((project) => messageJson(ProjectSchema, project)));
        terminal.line(found.length === 0 ? 'no projects yet' : table(terminal, columns, found));
      }),
    );
  projects
    .command('create')
    .description('create a project')
    .argument('<name>', 'a DNS label, unique within the organization')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<KeyOption, [string]>(context, async ({ openApi, organization, terminal }, options, name) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        const { project } = await api.projects.createProject({ idempotencyKey, organizationId, name });
        if (project === undefined) return;
        terminal.document(messageJson(ProjectSchema, project));
        terminal.line(`created project ${project.name}`);
      }),
    );
  projects
    .command('rm')
    .description('delete a project that has no deployments')
    .argument('<name>', 'name or id of the project')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<KeyOption, [string]>(context, async ({ openApi, organization, terminal }, options, name) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const project = await getProject(api, organizationId, name);
        await api.projects.deleteProject({
          idempotencyKey: options.idempotencyKey ?? randomUUID(),
          projectId: project.id,
        });
        terminal.document({ deleted: project.id });
        terminal.line(`deleted project ${project.name}`);
      }),
    );
}

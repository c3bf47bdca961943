import type { Command } from 'commander';
import { type Deployment, DeploymentSchema } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { getOrganization, getProject } from '../resolve.ts';
import { age, messageJson, paintState, words } from '../show.ts';
import { table } from '../table.ts';

/** Adds `obiente ls`. */
export function addList(program: Command, context: CliContext): void {
  program
    .command('ls')
    .alias('list')
    .description('list deployments')
    .option('--project <name>', 'only of this project')
    .action(
      action<{ project?: string }, []>(context, async ({ openApi, organization, terminal }, { project }) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const projectId = project === undefined ? '' : (await getProject(api, organizationId, project)).id;
        const deployments = await allPages(async (page) => {
          const answer = await api.deployments.listDeployments({ organizationId, projectId, page });
          return { items: answer.deployments, page: answer.page };
        });
        terminal.document(deployments.map((deployment) => messageJson(DeploymentSchema, deployment)));
        if (deployments.length === 0) {
          terminal.line('no deployments yet: run "obiente deploy <folder>" or "obiente deploy --image <reference>"');
          return;
        }
        const columns = [
          { heading: 'NAME', cell: (row: Deployment) => row.name },
          {
            heading: 'STATUS',
            cell: (row: Deployment) => words.status(row.status),
            paint: (text: string) => paintState(terminal, text),
          },
          { heading: 'REPLICAS', cell: (row: Deployment) => String(row.spec?.replicas ?? 1), isNumber: true },
          { heading: 'REVISION', cell: (row: Deployment) => String(row.revision), isNumber: true },
          { heading: 'URL', cell: (row: Deployment) => row.urls[0] ?? '-' },
          { heading: 'CHANGED', cell: (row: Deployment) => age(row.updatedAt), isNumber: true },
        ];
        terminal.line(table(terminal, columns, deployments));
      }),
    );
}

import type { Command } from 'commander';
import { type Route, RouteSchema } from '../../gen/obiente/cloud/v1/routes_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { getOrganization } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

/** Adds `obiente routes`. */
export function addRoutes(program: Command, context: CliContext): void {
  program
    .command('routes')
    .description('list the addresses at which deployments answer')
    .action(
      action<object, []>(context, async ({ openApi, organization, terminal }) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const routes = await allPages(async (page) => {
          const answer = await api.routes.listRoutes({ organizationId, page });
          return { items: answer.routes, page: answer.page };
        });
        const columns: readonly Column<Route>[] = [
          { heading: 'URL', cell: ({ url }) => url },
          { heading: 'DEPLOYMENT', cell: ({ deploymentId }) => deploymentId },
          { heading: 'REVISION', cell: ({ revision }) => (revision === 0 ? '-' : String(revision)), isNumber: true },
          { heading: 'UPSTREAMS', cell: ({ upstreams }) => shorten(upstreams) },
          { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
        ];
        terminal.document(routes.map((route) => messageJson(RouteSchema, route)));
        terminal.line(routes.length === 0 ? 'no routes yet' : table(terminal, columns, routes));
      }),
    );
}

const SHOWN_UPSTREAMS = 3;

function shorten(upstreams: readonly string[]): string {
  if (upstreams.length === 0) return '-';
  const more = upstreams.length - SHOWN_UPSTREAMS;
  return `${upstreams.slice(0, SHOWN_UPSTREAMS).join(' ')}${more > 0 ? ` and ${more} more` : ''}`;
}

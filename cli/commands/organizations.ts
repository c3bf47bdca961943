import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { type Organization, OrganizationSchema } from '../../gen/obiente/cloud/v1/organizations_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { listOrganizations } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

/** Adds `obiente orgs` and `obiente orgs create`. */
export function addOrganizations(program: Command, context: CliContext): void {
  const orgs = program.command('orgs').description('list and create organizations');
  orgs
    .command('list', { isDefault: true })
    .alias('ls')
    .description('list the organizations that you belong to')
    .action(
      action<object, []>(context, async ({ openApi, terminal }) => {
        const organizations = await listOrganizations(await openApi());
        const columns: readonly Column<Organization>[] = [
          { heading: 'NAME', cell: ({ name }) => name },
          { heading: 'ID', cell: ({ id }) => id },
          { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
        ];
        terminal.document(organizations.map((organization) => messageJson(OrganizationSchema, organization)));
        terminal.line(table(terminal, columns, organizations));
      }),
    );
  orgs
    .command('create')
    .description('create an organization with you as its owner')
    .argument('<name>', 'a DNS label, unique on the platform')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<{ idempotencyKey?: string }, [string]>(context, async ({ openApi, terminal }, options, name) => {
        const api = await openApi();
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        const { organization } = await api.organizations.createOrganization({ idempotencyKey, name });
        if (organization === undefined) return;
        terminal.document(messageJson(OrganizationSchema, organization));
        terminal.line(`created organization ${organization.name}`);
      }),
    );
}

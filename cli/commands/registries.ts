import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { type RegistryCredential, RegistryCredentialSchema } from '../../gen/obiente/cloud/v1/registries_pb.ts';
import { action, type CliContext } from '../invocation.ts';
import { allPages } from '../pages.ts';
import { plainText } from '../plain-text.ts';
import { readSecret } from '../read-secret.ts';
import { getOrganization } from '../resolve.ts';
import { age, messageJson } from '../show.ts';
import { type Column, table } from '../table.ts';

interface KeyOption {
  readonly idempotencyKey?: string;
}

interface AddOptions extends KeyOption {
  readonly username: string;
}

/** Adds `obiente registries` with `list`, `add` and `rm`. */
export function addRegistries(program: Command, context: CliContext): void {
  const registries = program
    .command('registries')
    .description('list, add and remove credentials for private image registries');
  registries
    .command('list', { isDefault: true })
    .alias('ls')
    .description('list the credentials of the organization')
    .action(
      action<object, []>(context, async ({ openApi, organization, terminal }) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const found = await allPages(async (page) => {
          const answer = await api.registries.listRegistryCredentials({ organizationId, page });
          return { items: answer.credentials, page: answer.page };
        });
        const columns: readonly Column<RegistryCredential>[] = [
          { heading: 'HOST', cell: ({ host }) => host },
          { heading: 'USERNAME', cell: ({ username }) => username },
          { heading: 'FINGERPRINT', cell: ({ fingerprint }) => fingerprint },
          { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
        ];
        terminal.document(found.map((credential) => messageJson(RegistryCredentialSchema, credential)));
        terminal.line(found.length === 0 ? 'no credentials yet' : table(terminal, columns, found));
      }),
    );
  registries
    .command('add')
    .description('store a credential, or replace it; the password is asked for, or read from standard input')
    .argument('<host>', 'the registry as image references name it, for example ghcr.io; docker.io for Docker Hub')
    .requiredOption('-u, --username <name>', 'name that the registry knows')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<AddOptions, [string]>(context, async ({ openApi, organization, terminal }, options, host) => {
        const { username } = options;
        const password = await readSecret(context, `password of ${plainText(username)} at ${plainText(host)}`);
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        const request = { idempotencyKey, organizationId, host, username, password };
        const { credential } = await api.registries.setRegistryCredential(request);
        if (credential === undefined) return;
        terminal.document(messageJson(RegistryCredentialSchema, credential));
        terminal.line(`stored the credential of ${plainText(username)} for ${credential.host}`);
      }),
    );
  registries
    .command('rm')
    .description('delete a credential; what runs goes on running')
    .argument('<host>', 'the registry')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<KeyOption, [string]>(context, async ({ openApi, organization, terminal }, options, host) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        await api.registries.deleteRegistryCredential({ idempotencyKey, organizationId, host });
        terminal.document({ deleted: host });
        terminal.line(`deleted the credential for ${plainText(host)}`);
      }),
    );
}

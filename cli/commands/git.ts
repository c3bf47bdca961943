import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import {
  type GitCredential,
  GitCredentialKind,
  GitCredentialSchema,
  type SetGitCredentialRequestSchema,
} from '../../gen/obiente/cloud/v1/git_pb.ts';
import { refuse } from '../failures.ts';
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
  readonly username?: string;
  readonly key?: string;
  readonly generateKey?: boolean;
  readonly knownHosts?: string;
}

interface RemoveOptions extends KeyOption {
  readonly https?: boolean;
  readonly ssh?: boolean;
}

const TARGET = 'the server, for example github.com, or one repository of it, github.com/acme/shop';

/** Adds `obiente git` with `list`, `add` and `rm`. */
export function addGit(program: Command, context: CliContext): void {
  const git = program.command('git').description('list, add and remove credentials for private Git repositories');
  git
    .command('list', { isDefault: true })
    .alias('ls')
    .description('list the credentials of the organization')
    .action(
      action<object, []>(context, async ({ openApi, organization, terminal }) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const found = await allPages(async (page) => {
          const answer = await api.git.listGitCredentials({ organizationId, page });
          return { items: answer.credentials, page: answer.page };
        });
        const columns: readonly Column<GitCredential>[] = [
          { heading: 'TARGET', cell: ({ target }) => target },
          { heading: 'KIND', cell: ({ kind }) => (kind === GitCredentialKind.SSH ? 'ssh' : 'https') },
          { heading: 'USERNAME', cell: ({ username }) => plainText(username) || '-' },
          { heading: 'FINGERPRINT', cell: ({ fingerprint }) => fingerprint },
          { heading: 'AGE', cell: ({ createdAt }) => age(createdAt), isNumber: true },
        ];
        terminal.document(found.map((credential) => messageJson(GitCredentialSchema, credential)));
        terminal.line(found.length === 0 ? 'no credentials yet' : table(terminal, columns, found));
      }),
    );
  git
    .command('add')
    .description('store a credential, or replace it; a password is asked for, or read from standard input')
    .argument('<target>', TARGET)
    .option('-u, --username <name>', 'for https: name that the server knows')
    .option('--key <file>', 'for ssh: file of the private key; - reads standard input')
    .option('--generate-key', 'for ssh: let the platform make a key, and print its public half')
    .option('--known-hosts <file>', 'for ssh: lines as ssh-keyscan prints them (default: remember the first key seen)')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<AddOptions, [string]>(context, async ({ openApi, organization, terminal }, options, target) => {
        const secret = await readLogin(context, options, target);
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        const { credential } = await api.git.setGitCredential({ idempotencyKey, organizationId, target, secret });
        if (credential === undefined) return;
        terminal.document(messageJson(GitCredentialSchema, credential));
        terminal.note(`stored the credential for ${credential.target}`);
        if (credential.publicKey !== '') terminal.line(plainText(credential.publicKey));
      }),
    );
  git
    .command('rm')
    .description('delete the credentials for a target; what runs goes on running')
    .argument('<target>', TARGET)
    .option('--https', 'only that for https')
    .option('--ssh', 'only that for ssh')
    .option('--idempotency-key <key>', 'same key, same answer')
    .action(
      action<RemoveOptions, [string]>(context, async ({ openApi, organization, terminal }, options, target) => {
        const api = await openApi();
        const { id: organizationId } = await getOrganization(api, organization);
        const idempotencyKey = options.idempotencyKey ?? randomUUID();
        await api.git.deleteGitCredential({ idempotencyKey, organizationId, target, kind: kindOf(options) });
        terminal.document({ deleted: target });
        terminal.line(`deleted the credential for ${plainText(target)}`);
      }),
    );
}

function kindOf({ https, ssh }: RemoveOptions): GitCredentialKind {
  if (https === ssh) return GitCredentialKind.UNSPECIFIED;
  return https ? GitCredentialKind.HTTPS : GitCredentialKind.SSH;
}

type Secret = NonNullable<MessageInitShape<typeof SetGitCredentialRequestSchema>['secret']>;

async function readLogin(context: CliContext, options: AddOptions, target: string): Promise<Secret> {
  const { username, key, generateKey = false, knownHosts } = options;
  const given = [username !== undefined, key !== undefined, generateKey].filter(Boolean).length;
  if (given !== 1) {
    throw refuse('add', 'needs exactly one of --username, --key and --generate-key', 'Name how one signs in there.');
  }
  if (username !== undefined) {
    if (knownHosts !== undefined) throw refuse('--known-hosts', 'is for ssh');
    const password = await readSecret(context, `password or token of ${plainText(username)} at ${plainText(target)}`);
    return { case: 'https', value: { username, password } };
  }
  const lines = knownHosts === undefined ? '' : await readText(context, '--known-hosts', knownHosts);
  const privateKey = key === undefined ? '' : await readKey(context, key);
  return { case: 'ssh', value: { privateKey, knownHosts: lines } };
}

async function readKey(context: CliContext, file: string): Promise<string> {
  const key = file === '-' ? await readSecret(context, 'private key') : await readText(context, '--key', file);
  // Nothing would be taken for "make one".
  if (key.trim() === '') throw refuse('--key', 'is empty');
  return key;
}

async function readText({ cwd }: CliContext, option: string, file: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, file), 'utf8');
  } catch (error) {
    throw refuse(option, `can't read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}

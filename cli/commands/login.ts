import type { Command } from 'commander';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import { findCredentials, userCredentialsFile, writeCredentials } from '../credentials-file.ts';
import { signInByDevice } from '../device-flow.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { plainText } from '../plain-text.ts';
import { DEFAULT_API_URL } from '../session.ts';

/** The public client that the platform registers for this command. */
const DEFAULT_CLIENT = 'obiente-cli';

/** `offline_access` asks for the refresh token that keeps the user signed in. */
const DEFAULT_SCOPE = 'openid profile email offline_access api';

const METADATA_TIMEOUT_MS = 5_000;

interface LoginOptions {
  readonly apiUrl?: string;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly scope: string;
  readonly resource?: string;
}

/** Adds `obiente login`. */
export function addLogin(program: Command, context: CliContext): void {
  program
    .command('login')
    .description('sign in: shows an address and a code to confirm in a browser')
    .option('--api-url <url>', `the platform (default: the one in use, else ${DEFAULT_API_URL})`)
    .option('--issuer <url>', 'the identity provider (default: the one that the platform names)')
    .option('--client-id <id>', `client at the provider (default: ${DEFAULT_CLIENT})`)
    .option('--scope <scopes>', 'what to ask the provider for', DEFAULT_SCOPE)
    .option('--resource <uri>', 'RFC 8707 resource that the token is for')
    .action(action<LoginOptions, []>(context, login));
}

async function login({ context, terminal, signal }: Invocation, options: LoginOptions): Promise<void> {
  const { env } = context;
  const known = await findCredentials(context);
  const apiUrl = options.apiUrl || env.OBIENTE_API_URL || known?.credentials.apiUrl || DEFAULT_API_URL;
  const isKnown = known !== undefined && new URL(known.credentials.apiUrl).origin === new URL(apiUrl).origin;
  const before = isKnown ? known.credentials : undefined;
  const issuer = options.issuer || env.OIDC_ISSUER || before?.issuer || (await askIssuer(apiUrl));
  const clientId = options.clientId || env.OIDC_CLIENT_ID || before?.clientId || DEFAULT_CLIENT;
  const { scope, resource } = options;
  const tokens = await signInByDevice({
    issuer,
    clientId,
    scope,
    resource,
    signal,
    prompt: ({ url, completeUrl, userCode, expiresInSeconds }) => {
      terminal.note(`Open ${plainText(completeUrl ?? url)}`);
      terminal.note(`and confirm the code ${plainText(userCode)} (good for ${Math.round(expiresInSeconds / 60)} min).`);
    },
  });
  // Where the next command looks first, so that the newest sign-in is the one that counts.
  const file = known?.file ?? userCredentialsFile(context);
  await writeCredentials(file, { apiUrl, issuer, clientId, ...tokens });
  terminal.document({ apiUrl, issuer, clientId, file, expiresAt: tokens.expiresAt });
  terminal.line(`signed in to ${apiUrl} (${file})`);
}

const resourceSchema = z.object({ authorization_servers: z.array(z.url()).min(1) });

/** Asks the API for its identity provider (RFC 9728). @throws CONFIGURATION when it names none. */
async function askIssuer(apiUrl: string): Promise<string> {
  try {
    const url = new URL('/.well-known/oauth-protected-resource', apiUrl);
    const response = await fetch(url, { signal: AbortSignal.timeout(METADATA_TIMEOUT_MS), redirect: 'error' });
    const named = response.ok ? resourceSchema.safeParse(await response.json()) : undefined;
    const [issuer] = named?.data?.authorization_servers ?? [];
    if (issuer !== undefined) return issuer;
  } catch (error) {
    throw noIssuer(apiUrl, error);
  }
  throw noIssuer(apiUrl);
}

function noIssuer(apiUrl: string, cause?: unknown): DomainError {
  return new DomainError('CONFIGURATION', `${apiUrl} does not name its identity provider`, {
    hint: 'Name the provider with --issuer.',
    cause,
  });
}

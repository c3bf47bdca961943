import { mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Provider } from 'oidc-provider';
import { DomainError } from '../../domain/errors.ts';
import type { Log } from '../logging/log.ts';
import { createConfiguration } from './configuration.ts';
import { DEV_USER } from './dev-user.ts';
import { openGrantStore } from './grant-store.ts';
import { type CliSignIn, issueDevTokens, signInLocally } from './local-sign-in.ts';
import { escapeHtml, page, signInPage } from './pages.ts';
import { loadProviderKeys } from './provider-keys.ts';

/** One browser and a few commands; more is a mistake or mischief. */
const MAX_CONNECTIONS = 100;

/** What the development provider is to be. */
export interface DevOidcOptions {
  readonly port: number;
  /** `http://127.0.0.1:<port>`; requests for any other host are refused. */
  readonly issuer: string;
  /** Keys, grants and the command's sign-in are kept here. */
  readonly stateDir: string;
  readonly audience: string;
  readonly clientId: string;
  /** The API that the local command talks to. */
  readonly apiUrl: string;
  /** Lifetime of access tokens, seconds. Default 1 h. */
  readonly accessTokenTtlS?: number;
  readonly log: Log;
}

/** The running development provider. */
export interface DevOidc {
  /** Issues tokens of the development user without a browser. */
  issueDevTokens(): Promise<CliSignIn>;
  /** Writes `cli.json` unless the local command is signed in already; answers whether it did. */
  signInLocally(): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Starts the identity provider of development: one user without a password, on this host only.
 *
 * Its keys and grants survive restarts, so a sign-in lasts. Never for production: it refuses to be anything but loopback.
 *
 * @throws CONFIGURATION for an issuer that is not on this host, or a port that is taken.
 */
export async function startDevOidc(options: DevOidcOptions): Promise<DevOidc> {
  assertLoopback(options.issuer);
  const { audience, clientId, accessTokenTtlS = 3600 } = options;
  const folder = join(options.stateDir, 'oidc');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keys = await loadProviderKeys(folder);
  const store = openGrantStore(join(folder, 'grants.sqlite'));
  const settings = { audience, clientId, keys, store, accessTokenTtlS };
  const provider = new Provider(options.issuer, createConfiguration(settings));
  provider.on('server_error', (_context, error) => options.log.error({ err: error }, 'identity provider failed'));

  const server = createServer(createHandler(provider, options));
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, options.port);
  const local = { provider, ...options };
  return {
    issueDevTokens: () => issueDevTokens(local),
    signInLocally: () => signInLocally(local),
    stop: async () => {
      await close(server);
      store.close();
    },
  };
}

function assertLoopback(issuer: string): void {
  const { hostname } = new URL(issuer);
  if (['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) return;
  throw new DomainError(
    'CONFIGURATION',
    `development identity provider: the issuer is on ${hostname}; allowed is this host`,
    {
      hint: 'Use your own identity provider where others can reach it: whoever reaches this one is signed in.',
    },
  );
}

function createHandler(provider: Provider, { issuer, log }: DevOidcOptions) {
  const { host } = new URL(issuer);
  const protocol = provider.callback();
  return (request: IncomingMessage, response: ServerResponse): void => {
    if (request.headers.host !== host) {
      // A page of another site that points its name to this host must not be let in.
      answer(response, 421, page('Another host', `<p>Open <code>${escapeHtml(issuer)}</code> instead.</p>`));
      return;
    }
    const answered = request.url?.startsWith('/interaction/')
      ? answerInteraction(provider, request, response)
      : protocol(request, response);
    answered.catch((error: unknown) => {
      log.warn({ err: error }, 'sign-in page failed');
      answer(response, 400, page('Signing in failed', '<p>Start again from your terminal.</p>'));
    });
  };
}

/** The sign-in page, and what its button does: the sign-in belongs to the browser's own cookie. */
async function answerInteraction(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { params, uid } = await provider.interactionDetails(request, response);
  if (request.method === 'POST') {
    const result = { login: { accountId: DEV_USER.id }, consent: {} };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    return;
  }
  answer(response, 200, signInPage(String(params.client_id), `/interaction/${uid}`));
}

function answer(response: ServerResponse, status: number, html: string): void {
  if (response.headersSent) return;
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
  });
  response.end(html);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      const message = `development identity provider: port ${port} of 127.0.0.1 is taken (OIDC_PORT)`;
      reject(new DomainError('CONFIGURATION', message, { hint: 'Set OIDC_PORT to a free port.' }));
    });
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

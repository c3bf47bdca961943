import type { ClientMetadata, Configuration, ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import { DEV_USER } from './dev-user.ts';
import type { GrantStore } from './grant-store.ts';
import { codePage, confirmPage, connectedPage, page } from './pages.ts';
import type { ProviderKeys } from './provider-keys.ts';

/** Identifier of the API as a resource server (RFC 8707): what makes the access tokens JWTs with its audience. */
export const API_RESOURCE = 'urn:obiente:api';

/** The scope of the API. It has no finer ones: what a caller may do follows from memberships, never from the token. */
export const API_SCOPE = 'api';

const OIDC_SCOPES = 'openid email offline_access';
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;

/** What the configuration depends on. */
export interface ProviderSettings {
  readonly audience: string;
  readonly clientId: string;
  readonly keys: ProviderKeys;
  readonly store: GrantStore;
  /** Lifetime of access tokens, seconds. */
  readonly accessTokenTtlS: number;
}

/** Configures the provider: one public client with the device flow, one user, access tokens as JWTs. */
export function createConfiguration(settings: ProviderSettings): Configuration {
  const { clientId, keys, store, accessTokenTtlS } = settings;
  return {
    adapter: (kind) => store.adapter(kind),
    jwks: keys.jwks,
    cookies: { keys: keys.cookieKeys },
    clients: [commandLine(clientId)],
    scopes: OIDC_SCOPES.split(' '),
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    extraTokenClaims: () => ({ email: DEV_USER.email }),
    findAccount: async (_context, id) => (id === DEV_USER.id ? devAccount() : undefined),
    loadExistingGrant: findOrGrant,
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    // Two commands at once refresh with the same token; with rotation the second would sign the user out.
    rotateRefreshToken: false,
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    renderError,
    ttl: {
      AccessToken: accessTokenTtlS,
      DeviceCode: HOUR_S / 4,
      Grant: 365 * DAY_S,
      IdToken: HOUR_S,
      Interaction: HOUR_S,
      RefreshToken: 180 * DAY_S,
      Session: 14 * DAY_S,
    },
    features: features(settings),
  };
}

/** The `obiente` command: a public client, since whoever has the program has whatever secret is in it. */
function commandLine(clientId: string): ClientMetadata {
  return {
    client_id: clientId,
    client_name: clientId,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    response_types: [],
    redirect_uris: [],
    id_token_signed_response_alg: 'ES256',
  };
}

function features({ audience, clientId, accessTokenTtlS }: ProviderSettings): Configuration['features'] {
  return {
    devInteractions: { enabled: false },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: async (context, form, _out, error) => {
        context.body = codePage(form, error ? 'That code is not valid, has expired or was used.' : undefined);
      },
      userCodeConfirmSource: async (context, form, client, _device, userCode) => {
        context.body = confirmPage(form, client.clientName ?? client.clientId, userCode);
      },
      successSource: async (context) => {
        context.body = connectedPage(context.oidc.client?.clientName ?? clientId);
      },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => API_RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: API_SCOPE,
        audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: accessTokenTtlS,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  };
}

function devAccount() {
  return {
    accountId: DEV_USER.id,
    claims: async () => ({ sub: DEV_USER.id, email: DEV_USER.email, email_verified: true }),
  };
}

/** Uses the grant of the browser's sign-in, or grants what the one client asks for: signing in is the consent. */
async function findOrGrant(context: KoaContextWithOIDC) {
  const { client, session, provider } = context.oidc;
  if (!client || session?.accountId === undefined) return undefined;
  const granted = session.grantIdFor(client.clientId);
  const found = granted === undefined ? undefined : await provider.Grant.find(granted);
  if (found) return found;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  allowEverything(grant);
  await grant.save();
  return grant;
}

/** Grants the scopes that there are. */
export function allowEverything(grant: {
  addOIDCScope(scope: string): void;
  addResourceScope(resource: string, scope: string): void;
}): void {
  grant.addOIDCScope(OIDC_SCOPES);
  grant.addResourceScope(API_RESOURCE, API_SCOPE);
}

/** All scopes, as a token names them. */
export const ALL_SCOPES = `${OIDC_SCOPES} ${API_SCOPE}`;

function renderError(context: KoaContextWithOIDC, out: ErrorOut): void {
  context.type = 'html';
  context.body = page(
    'Signing in failed',
    `<p>The provider answered <code>${out.error.replaceAll(/[^a-z_]/g, '')}</code>.</p>`,
  );
}

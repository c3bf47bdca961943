import { z } from 'zod';
import { DEFAULT_AUDIENCE } from './identity.ts';
import { logLevel, port, url } from './variables.ts';

/** Variables of the role `dev-oidc`, the identity provider of development. */
export const devOidcVariables = z.object({
  LOG_LEVEL: logLevel,
  OBIENTE_STATE_DIR: z.string().default('.obiente'),
  OIDC_PORT: port(7402),
  OIDC_ISSUER: url('http').optional(),
  OIDC_AUDIENCE: z.string().default(DEFAULT_AUDIENCE),
  OIDC_CLIENT_ID: z.string().default('obiente-cli'),
  CONTROL_URL: url('http', 'https').default('http://127.0.0.1:7400'),
});

import { z } from 'zod';
import { url } from './variables.ts';

/** Audience of this platform's access tokens, where nothing else is configured. */
export const DEFAULT_AUDIENCE = 'obiente-api';

/** Whose access tokens the API accepts. `ZITADEL_URL` is the older name of `OIDC_ISSUER`. */
export const identityVariables = z.object({
  OIDC_ISSUER: url('https', 'http').optional(),
  ZITADEL_URL: url('https', 'http').optional(),
  OIDC_AUDIENCE: z.string().default(DEFAULT_AUDIENCE),
});

/** Issuer of development, as the role `dev-oidc` runs it on its default port. */
const DEVELOPMENT_ISSUER = 'http://127.0.0.1:7402';

/** The issuer that was configured, by its new or its older name; without one, the development provider's. */
export function issuerOf(variables: { OIDC_ISSUER?: string | undefined; ZITADEL_URL?: string | undefined }): string {
  return variables.OIDC_ISSUER ?? variables.ZITADEL_URL ?? DEVELOPMENT_ISSUER;
}

import { z } from 'zod';
import { DomainError } from '../domain/errors.ts';
import { url } from './variables.ts';

/** Audience of this platform's access tokens, where nothing else is configured. */
export const DEFAULT_AUDIENCE = 'obiente-api';

/** Whose access tokens the API accepts. `ZITADEL_URL` is the older name of `OIDC_ISSUER`. */
export const identityVariables = z.object({
  OIDC_ISSUER: url('https', 'http').optional(),
  ZITADEL_URL: url('https', 'http').optional(),
  OIDC_AUDIENCE: z.string().default(DEFAULT_AUDIENCE),
});

const LOOPBACK = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether a URL leads to this host itself. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.test(new URL(address).hostname);
}

/**
 * The issuer that was configured, by its new or its older name.
 *
 * There is no default: an API that trusts an issuer by chance trusts anybody who can take its port.
 *
 * @throws CONFIGURATION without an issuer, and for one over http that is not on this host.
 */
export function issuerOf(variables: { OIDC_ISSUER?: string | undefined; ZITADEL_URL?: string | undefined }): string {
  const issuer = variables.OIDC_ISSUER ?? variables.ZITADEL_URL;
  if (issuer === undefined) {
    throw new DomainError('CONFIGURATION', 'cannot start: OIDC_ISSUER: is not set', {
      hint: 'Set OIDC_ISSUER to the address of your identity provider; `npm start` brings one for development.',
    });
  }
  if (!issuer.startsWith('https:') && !isLoopback(issuer)) {
    throw new DomainError(
      'CONFIGURATION',
      'cannot start: OIDC_ISSUER: is over http; allowed is https, or http on this host',
      {
        hint: 'Use the https address of your identity provider.',
      },
    );
  }
  return issuer;
}

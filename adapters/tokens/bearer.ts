import { refuseToken } from './refusal.ts';

/**
 * Takes the bearer token out of a request's `Authorization` header (RFC 6750 2.1).
 *
 * @throws UNAUTHENTICATED when there is none, or the header is of another form.
 */
export function readBearerToken(headers: { get(name: string): string | null }): string {
  const header = headers.get('authorization');
  if (header === null) throw refuseToken('there is none');
  const [, token] = /^bearer ([^\s,]+)$/i.exec(header) ?? [];
  if (token === undefined) throw refuseToken('the authorization header is not `Bearer <token>`');
  return token;
}

import { DomainError } from '../domain/errors.ts';
import { findCredentials, type Surroundings } from './credentials-file.ts';
import { fixedToken, storedToken, type TokenSource } from './tokens.ts';

/** Where `npm start` serves the API unless API_PORT says otherwise. */
export const DEFAULT_API_URL = 'http://127.0.0.1:7400';

/** Which platform to talk to, and as whom. */
export interface Session {
  readonly apiUrl: string;
  readonly tokens: TokenSource;
  /** The `cli.json` that says so; `undefined` when the environment does. */
  readonly file: string | undefined;
}

/**
 * Finds the platform: `OBIENTE_API_URL` and `OBIENTE_TOKEN`, else the nearest `cli.json`.
 *
 * A token of the file goes only to the API that the file names.
 *
 * @throws UNAUTHENTICATED when neither names a user.
 */
export async function findSession(surroundings: Surroundings): Promise<Session> {
  const { OBIENTE_API_URL: apiUrl, OBIENTE_TOKEN: token } = surroundings.env;
  if (apiUrl && !URL.canParse(apiUrl)) {
    throw new DomainError('CONFIGURATION', 'OBIENTE_API_URL is not a URL', {
      hint: 'Set it like http://127.0.0.1:7400.',
    });
  }
  if (apiUrl && token) return { apiUrl, tokens: fixedToken(token), file: undefined };
  const found = await findCredentials(surroundings);
  const target = apiUrl || found?.credentials.apiUrl || DEFAULT_API_URL;
  if (token) return { apiUrl: target, tokens: fixedToken(token), file: undefined };
  if (found?.credentials.accessToken === undefined || !isSameOrigin(target, found.credentials.apiUrl)) {
    throw new DomainError('UNAUTHENTICATED', `not signed in to ${target}`, {
      hint: 'Run "obiente login", or "npm start" for a platform of your own.',
    });
  }
  return { apiUrl: target, tokens: storedToken(found.file), file: found.file };
}

function isSameOrigin(one: string, other: string): boolean {
  return new URL(one).origin === new URL(other).origin;
}

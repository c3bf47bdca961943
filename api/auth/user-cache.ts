import type { VerifiedToken } from '../../adapters/tokens/access-token-verifier.ts';
import type { IdentityStore } from './authorization.ts';

/** How long a user's id is remembered. A removed user has no roles at once, whatever is remembered here. */
const KEEP_MS = 60_000;

/** About 300 bytes each; the least recently used goes first. */
const MAX_USERS = 10_000;

interface Remembered {
  readonly userId: Promise<string>;
  readonly since: number;
}

/** Creates what finds the user of a token, asking the database once a minute and not once a call. */
export function createUserCache(
  store: Pick<IdentityStore, 'ensureUser'>,
  now: () => Date,
): (token: VerifiedToken) => Promise<string> {
  const remembered = new Map<string, Remembered>();

  function ask({ issuer, subject, email }: VerifiedToken, key: string): Remembered {
    const userId = store.ensureUser({ issuer, subject, email }).then((user) => user.userId);
    const entry = { userId, since: now().getTime() };
    userId.catch(() => {
      // The caller gets the error; only an answer is worth remembering.
      if (remembered.get(key) === entry) remembered.delete(key);
    });
    return entry;
  }

  return async (token) => {
    const key = JSON.stringify([token.issuer, token.subject, token.email]);
    const found = remembered.get(key);
    const entry = found && now().getTime() - found.since < KEEP_MS ? found : ask(token, key);
    remembered.delete(key);
    remembered.set(key, entry);
    const oldest = remembered.keys().next().value;
    if (remembered.size > MAX_USERS && oldest !== undefined) remembered.delete(oldest);
    return await entry.userId;
  };
}

import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { parseJwkSet } from './jwk-set.ts';
import { refuseToken } from './refusal.ts';

/** At most one fetch in this time, whatever the number of tokens and whether fetching succeeds. */
const MIN_FETCH_INTERVAL_MS = 5000;

/** Known keys are looked up anew after this time, so that a key taken back is soon not believed any more. */
const REFRESH_AFTER_MS = 10 * 60_000;

/** How long known keys hold while the provider is away. */
const KEEP_MS = 24 * 3_600_000;

/** Where the keys of an identity provider come from. */
export interface KeySource {
  /** Finds the key of a token's header. */
  readonly getKey: JWTVerifyGetKey;
}

interface KnownKeys {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  readonly fetchedAt: number;
}

/**
 * Creates a cache of a provider's keys that neither floods a failing provider nor forgets its keys when it is away.
 *
 * A fetch starts when there are no keys, when they are older than 10 min, or when a token names an unknown key; at
 * most one in 5 s, and all that wait share it. An answer that is not a sound key set changes nothing.
 */
export function createKeySource(deps: {
  fetchJwks: () => Promise<unknown>;
  now: () => Date;
  /** Hears of every fetch that failed, at most one in 5 s. */
  onFailure: (error: unknown) => void;
}): KeySource {
  let known: KnownKeys | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;

  const age = () => (known ? deps.now().getTime() - known.fetchedAt : Number.POSITIVE_INFINITY);

  async function fetchOnce(): Promise<void> {
    try {
      const find = createLocalJWKSet(parseJwkSet(await deps.fetchJwks()));
      known = { find, fetchedAt: deps.now().getTime() };
    } catch (error) {
      // The keys known so far stay; the callers refuse what these cannot prove.
      deps.onFailure(error);
    } finally {
      running = undefined;
    }
  }

  /** Resolves once the running fetch has ended, or at once when it is too early for another. Never rejects. */
  function refresh(): Promise<void> {
    const elapsed = Math.abs(deps.now().getTime() - attemptedAt);
    if (running === undefined && elapsed >= MIN_FETCH_INTERVAL_MS) {
      attemptedAt = deps.now().getTime();
      running = fetchOnce();
    }
    return running ?? Promise.resolve();
  }

  return {
    getKey: async (header, token) => {
      if (age() >= KEEP_MS) await refresh();
      else if (age() >= REFRESH_AFTER_MS) void refresh();
      if (!known || age() >= KEEP_MS) {
        throw refuseToken('the keys of the identity provider cannot be fetched', {
          hint: 'Try again in a few seconds.',
        });
      }
      try {
        return await known.find(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        await refresh();
        return await known.find(header, token);
      }
    },
  };
}

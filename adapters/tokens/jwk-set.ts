import type { JSONWebKeySet } from 'jose';
import { importPublic, type Jwk } from './keys.ts';

const MAX_KEYS = 50;
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * Parses a provider's key set down to the public signature keys that this platform can use.
 *
 * Keys for encryption and of unknown types are left out. Anything that a sound provider never publishes makes the whole
 * set untrustworthy: private or symmetric keys, weak or broken ones, two with one id, too many.
 *
 * @throws Error that says what is wrong with the set.
 */
export function parseJwkSet(value: unknown): JSONWebKeySet {
  const keys = value !== null && typeof value === 'object' && 'keys' in value ? value.keys : undefined;
  if (!Array.isArray(keys)) throw new Error('is not a jwk set');
  if (keys.length > MAX_KEYS) throw new Error(`has ${keys.length} keys; allowed are ${MAX_KEYS}`);
  const usable = keys.map(parseKey).filter((key) => key !== undefined);
  if (usable.length === 0) throw new Error('has no key for signatures');
  const ids = usable.map(({ kid }) => kid).filter((kid) => kid !== undefined);
  if (new Set(ids).size !== ids.length) throw new Error('has two keys with one id');
  return { keys: usable };
}

function parseKey(value: unknown): Jwk | undefined {
  if (value === null || typeof value !== 'object') throw new Error('has something that is no key');
  const jwk = value as Jwk;
  if (jwk.kid !== undefined && typeof jwk.kid !== 'string') throw new Error('has a key id that is no text');
  if (PRIVATE_MEMBERS.some((member) => member in jwk)) throw new Error('has a private or symmetric key');
  if (jwk.use === 'enc' || !['RSA', 'EC', 'OKP'].includes(String(jwk.kty))) return undefined;
  if (jwk.kty === 'OKP' && jwk.crv !== 'Ed25519') return undefined;
  const key = importPublic(jwk);
  if (!key) throw new Error('has a broken key');
  if (jwk.kty === 'RSA') assertStrongRsa(key.asymmetricKeyDetails);
  return jwk;
}

function assertStrongRsa(details: { modulusLength?: number; publicExponent?: bigint } | undefined): void {
  const bits = details?.modulusLength ?? 0;
  const exponent = details?.publicExponent ?? 0n;
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) throw new Error(`has an rsa key of ${bits} bits`);
  if (exponent < 3n || exponent % 2n === 0n) throw new Error('has an rsa key with a weak exponent');
}

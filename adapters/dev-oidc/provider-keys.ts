import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { JWK } from 'oidc-provider';
import { findFile, writePrivateFile } from '../files/private-file.ts';

/** What the development provider signs with. */
export interface ProviderKeys {
  /** Private keys, ES256 and RS256. */
  readonly jwks: { keys: JWK[] };
  /** Signs the cookies of browsers. */
  readonly cookieKeys: string[];
}

/** Reads the provider's keys from its folder; makes them when there are none, so removing the file rotates them. */
export async function loadProviderKeys(folder: string): Promise<ProviderKeys> {
  const path = join(folder, 'keys.json');
  const found = await findFile(path);
  if (found !== undefined) return JSON.parse(found);
  const made: ProviderKeys = {
    jwks: { keys: [makeEllipticKey(), makeRsaKey()] },
    cookieKeys: [randomBytes(32).toString('base64url')],
  };
  await writePrivateFile(path, JSON.stringify(made));
  return made;
}

function makeEllipticKey(): JWK {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), kid: randomUUID(), alg: 'ES256', use: 'sig' };
}

function makeRsaKey(): JWK {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlatformFacts } from '../support/platform.ts';
import { accessToken } from './raw-call.ts';

/** A key that signs tokens. */
export interface TokenKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

/** What a token says otherwise than a good one; `undefined` takes a claim away. */
export interface TokenChanges {
  readonly key?: TokenKey;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  /** In place of the real signature. */
  readonly signature?: string;
}

/** Makes tokens as the platform's own identity provider would, and as it never would. */
export interface TokenForge {
  /** The provider's key, as a thief of its files would have it. */
  readonly key: TokenKey;
  make(changes?: TokenChanges): string;
}

/** Opens the forge of a platform: its provider's key, and the claims of the token that it gave its one user. */
export async function openTokenForge(platform: PlatformFacts): Promise<TokenForge> {
  const [header, claims] = (await accessToken(platform)).split('.').map(decode);
  const { jwks } = JSON.parse(await readFile(join(platform.stateDir, 'oidc', 'keys.json'), 'utf8')) as {
    jwks: { keys: Record<string, string>[] };
  };
  const jwk = jwks.keys.find(({ kid }) => kid === header?.kid);
  if (!jwk) throw new Error('the provider has no key of the id in its own token');
  const key = { kid: jwk.kid ?? '', privateKey: createPrivateKey({ key: jwk, format: 'jwk' }) };
  return {
    key,
    make: ({ key: signer = key, header: headerChanges, claims: claimChanges, signature } = {}) => {
      const signed = [
        { ...header, kid: signer.kid, ...headerChanges },
        { ...claims, ...claimChanges },
      ]
        .map(encode)
        .join('.');
      const options = { key: signer.privateKey, dsaEncoding: 'ieee-p1363' } as const;
      return `${signed}.${signature ?? sign('sha256', Buffer.from(signed), options).toString('base64url')}`;
    },
  };
}

/** A key that no provider has. */
export function aStrangeKey(kid: string = randomUUID()): TokenKey {
  return { kid, privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;
  } catch {
    // The signature: bytes, no JSON.
    return undefined;
  }
}

import { generateKeyPairSync, type KeyObject, randomUUID, sign as signBytes } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import { type AccessTokenVerifier, createAccessTokenVerifier } from './access-token-verifier.ts';

const ISSUER = 'https://login.example.test';
const AUDIENCE = 'obiente-api';
const NOW_S = 1_800_000_000;

interface TestKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: Record<string, unknown>;
}

function makeKey(alg: string, pair: { privateKey: KeyObject; publicKey: KeyObject }): TestKey {
  const kid = randomUUID();
  return {
    alg,
    kid,
    privateKey: pair.privateKey,
    jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid, use: 'sig' },
  };
}

const rsa = makeKey('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }));
const elliptic = makeKey('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }));
const edwards = makeKey('EdDSA', generateKeyPairSync('ed25519'));
const foreign = makeKey('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }));

const GOOD: JWTPayload = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'ada',
  iat: NOW_S - 10,
  exp: NOW_S + 600,
  email: 'ada@example.test',
};

interface Token {
  readonly key?: TestKey;
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
}

function sign({ key = elliptic, claims = {}, header = {} }: Token = {}): Promise<string> {
  const payload = JSON.parse(JSON.stringify({ ...GOOD, ...claims }));
  return new SignJWT(payload)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
    .sign(key.privateKey);
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Signs what a sound library would not. */
function signRaw(header: Record<string, unknown>, payload: string): string {
  const signed = `${encode({ alg: 'ES256', kid: elliptic.kid, typ: 'at+jwt', ...header })}.${Buffer.from(payload).toString('base64url')}`;
  const key = { key: elliptic.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${signed}.${signBytes('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

let verifier: AccessTokenVerifier;
let fetches: number;
beforeEach(() => {
  fetches = 0;
  verifier = createAccessTokenVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    fetchJwks: async () => {
      fetches += 1;
      return { keys: [rsa.jwk, elliptic.jwk, edwards.jwk] };
    },
    now: () => new Date(NOW_S * 1000),
  });
});

async function expectRefusal(token: string, reason?: string): Promise<void> {
  const refused = expect(verifier.verify(token)).rejects;
  await refused.toMatchObject({
    name: 'DomainError',
    code: 'UNAUTHENTICATED',
    ...(reason === undefined ? {} : { message: `token refused: ${reason}` }),
  });
}

describe('an access token', () => {
  it.each([rsa, elliptic, edwards])('is accepted with its claims when signed by $alg', async (key) => {
    expect(await verifier.verify(await sign({ key }))).toEqual({
      issuer: ISSUER,
      subject: 'ada',
      email: 'ada@example.test',
      expiresAt: new Date((NOW_S + 600) * 1000),
    });
  });

  it.each(['at+jwt', 'application/at+jwt', 'JWT'])('is accepted with the type %s', async (typ) => {
    expect((await verifier.verify(await sign({ header: { typ } }))).subject).toBe('ada');
  });

  it('is accepted for one of several audiences, and without an e-mail', async () => {
    const token = await sign({ claims: { aud: ['else', AUDIENCE], email: undefined } });
    expect(await verifier.verify(token)).toMatchObject({ subject: 'ada', email: '' });
  });

  it('is not accepted for longer than a day after it was issued, whatever it says itself', async () => {
    const { expiresAt } = await verifier.verify(await sign({ claims: { exp: NOW_S * 2 } }));
    expect(expiresAt).toEqual(new Date((NOW_S - 10 + 24 * 3600) * 1000));
  });
});

describe('a token is refused', () => {
  it.each<[string, Token, string?]>([
    ['from another issuer', { claims: { iss: 'https://evil.test' } }, 'it is from another issuer'],
    ['from the issuer with a trailing slash', { claims: { iss: `${ISSUER}/` } }],
    ['from the issuer over http', { claims: { iss: ISSUER.replace('https', 'http') } }],
    ['from the issuer in upper case', { claims: { iss: ISSUER.toUpperCase() } }],
    ['with a list of issuers', { claims: { iss: [ISSUER] } }],
    ['without issuer', { claims: { iss: undefined } }, 'it has no claim iss'],
    ['for another audience', { claims: { aud: 'billing' } }, 'it is not meant for this api'],
    ['for a longer audience', { claims: { aud: `${AUDIENCE}-2` } }],
    ['without audience', { claims: { aud: undefined } }],
    ['without expiry', { claims: { exp: undefined } }, 'it has no claim exp'],
    ['with an expiry as text', { claims: { exp: String(NOW_S + 60) } }],
    ['that expired more than the tolerance ago', { claims: { exp: NOW_S - 6 } }, 'it has expired'],
    ['that was issued in the future', { claims: { iat: NOW_S + 3600 } }],
    ['that was issued more than a day ago', { claims: { iat: NOW_S - 25 * 3600 } }],
    ['without time of issue', { claims: { iat: undefined } }],
    ['that is not valid yet', { claims: { nbf: NOW_S + 60 } }, 'it is not valid yet'],
    ['without subject', { claims: { sub: undefined } }, 'it has no claim sub'],
    ['with an empty subject', { claims: { sub: '' } }],
    ['with a subject that is no text', { claims: { sub: ['ada'] } }],
    ['with a subject of 256 characters', { claims: { sub: 'x'.repeat(256) } }],
    ['with the nonce of an id token', { claims: { nonce: 'n' }, header: { typ: 'JWT' } }, 'it is not an access token'],
    ['with the access-token hash of an id token', { claims: { at_hash: 'h' }, header: { typ: 'JWT' } }],
    ['that is a logout token', { claims: { events: {} }, header: { typ: 'logout+jwt' } }],
    ['that calls itself an id token', { claims: { typ: 'ID' }, header: { typ: 'JWT' } }],
    ['that calls itself a refresh token', { claims: { typ: 'Refresh' }, header: { typ: 'JWT' } }],
    ['of a type of our own internal tokens', { header: { typ: 'obiente-control+jwt' } }],
    ['without type', { header: { typ: undefined } }],
    ['signed by a key that the provider does not have', { key: foreign }, 'it is signed with an unknown key'],
    [
      'signed by another key under a known id',
      { key: { ...foreign, kid: elliptic.kid } },
      'its signature is not valid',
    ],
  ])('%s', async (_, token, reason) => {
    await expectRefusal(await sign(token), reason);
  });

  it.each(['RS384', 'RS512', 'PS256', 'PS384'])('signed by %s, though the key would fit', async (alg) => {
    await expectRefusal(await sign({ key: { ...rsa, alg } }), 'its algorithm is not allowed');
  });

  it.each(['none', 'None', 'nOnE'])('that is not signed: %s', async (alg) => {
    const unsigned = `${encode({ alg, typ: 'at+jwt' })}.${encode(GOOD)}`;
    await expectRefusal(`${unsigned}.`);
    await expectRefusal(`${unsigned}.${encode('x')}`);
  });

  it('signed by HS256 with the public key as its secret', async () => {
    const secret = Buffer.from(JSON.stringify(rsa.jwk));
    const token = await new SignJWT(GOOD)
      .setProtectedHeader({ alg: 'HS256', kid: rsa.kid, typ: 'at+jwt' })
      .sign(secret);
    await expectRefusal(token, 'its algorithm is not allowed');
  });

  it('with a critical extension, known or not', async () => {
    expect((await verifier.verify(signRaw({}, JSON.stringify(GOOD)))).subject).toBe('ada');
    await expectRefusal(signRaw({ crit: ['x'], x: 1 }, JSON.stringify(GOOD)));
    await expectRefusal(signRaw({ crit: ['b64'], b64: false }, JSON.stringify(GOOD)));
  });

  it.each(['1e999', '-1', '0', 'null', 'true', '{}', '[]'])('whose expiry is %s', async (expiry) => {
    await expectRefusal(signRaw({}, JSON.stringify(GOOD).replace(String(GOOD.exp), expiry)));
  });

  it.each(['', 'null', '[]', '"text"', '{'])('whose payload is %j', async (payload) => {
    await expectRefusal(signRaw({}, payload), payload === '' ? undefined : 'it is malformed');
  });

  it('whose header, payload or any byte of the signature was changed', async () => {
    const [header = '', payload = '', signature = ''] = (await sign()).split('.');
    const other = (await sign({ claims: { sub: 'eve' } })).split('.');
    await expectRefusal(`${header}.${other[1]}.${signature}`);
    await expectRefusal(`${encode({ alg: 'RS256', kid: rsa.kid, typ: 'at+jwt' })}.${payload}.${signature}`);
    const bytes = Buffer.from(signature, 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const flipped = Buffer.from(bytes);
      flipped[index] = (flipped[index] ?? 0) ^ 1;
      await expectRefusal(`${header}.${payload}.${flipped.toString('base64url')}`);
    }
  });

  it('in every spelling but the canonical one', async () => {
    const token = await sign({ key: rsa });
    const [header = '', payload = '', signature = ''] = token.split('.');
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const lastCharacters = [...alphabet].filter((letter) => letter !== signature.at(-1));
    const spellings = [
      ...['==', '=', ' ', '\t', '\n', '.', '%', '\0'].map((end) => `${token}${end}`),
      ...[' ', '\n'].map((start) => `${start}${token}`),
      ...lastCharacters.map((letter) => token.slice(0, -1) + letter),
      `${header}.${payload}.${signature.slice(0, 20)} ${signature.slice(20)}`,
      `${header}==.${payload}.${signature}`,
      `${header}.${payload}.${signature.replace(/[-_]/, (letter) => (letter === '-' ? '+' : '/'))}`,
    ].filter((spelling) => spelling !== token);
    for (const spelling of spellings) await expectRefusal(spelling);
    expect((await verifier.verify(token)).subject).toBe('ada');
  });

  it('that is no token at all', async () => {
    for (const text of ['', '.', '..', 'a.b', 'a.b.c', 'a.b.c.d.e', 'x'.repeat(100_000), 'opaque-token']) {
      await expectRefusal(text, 'it is malformed');
    }
  });

  it('without any call to the addresses and keys that its header names', async () => {
    const header = { jku: 'https://evil.test/jwks', x5u: 'https://evil.test/x5u', jwk: foreign.jwk };
    await expectRefusal(await sign({ key: foreign, header }), 'it is signed with an unknown key');
    expect(fetches).toBe(1);
  });
});

describe('the clock', () => {
  it('may be off by the tolerance and not by a second more', async () => {
    expect((await verifier.verify(await sign({ claims: { exp: NOW_S - 4 } }))).subject).toBe('ada');
    await expectRefusal(await sign({ claims: { exp: NOW_S - 5 } }), 'it has expired');
  });

  it.each([31, -1, Number.NaN])('cannot be trusted with a tolerance of %s s', (clockToleranceSeconds) => {
    const create = () => createAccessTokenVerifier({ issuer: ISSUER, audience: AUDIENCE, clockToleranceSeconds });
    expect(create).toThrow(expect.objectContaining({ code: 'CONFIGURATION' }));
  });
});

it('says nothing of a token in its refusals', async () => {
  const token = await sign({ claims: { aud: 'canary-4711', sub: 'canary-4711' } });
  const error: Error = await verifier.verify(token).catch((caught) => caught);
  expect(JSON.stringify([error.message, error])).not.toMatch(/canary/);
});

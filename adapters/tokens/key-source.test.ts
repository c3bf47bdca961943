import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAccessTokenVerifier } from './access-token-verifier.ts';
import { parseJwkSet } from './jwk-set.ts';
import { fetchProviderKeys } from './provider-keys.ts';

const ISSUER = 'https://login.example.test';
const AUDIENCE = 'obiente-api';
const HOUR_MS = 3_600_000;

function aKey(kid: string = randomUUID()) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } };
}

function aWeakRsaKey(options: { modulusLength: number; publicExponent?: number }) {
  return { ...generateKeyPairSync('rsa', options).publicKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' };
}

/** A verifier with a provider, a clock and a count of fetches that the test holds. */
function aRig() {
  const rig = {
    nowMs: 1_800_000_000_000,
    fetches: 0,
    warnings: [] as string[],
    answer: async (): Promise<unknown> => ({ keys: [] }),
    sign: (key: ReturnType<typeof aKey>) => {
      const issuedAt = Math.floor(rig.nowMs / 1000);
      return new SignJWT({ sub: 'ada', iss: ISSUER, aud: AUDIENCE, iat: issuedAt, exp: issuedAt + 600 })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'at+jwt' })
        .sign(key.privateKey);
    },
    verify: async (key: ReturnType<typeof aKey>) => {
      const token = await rig.sign(key);
      return await verifier.verify(token).then(
        () => 'accepted',
        (error: Error) => error.message,
      );
    },
  };
  const verifier = createAccessTokenVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    fetchJwks: () => {
      rig.fetches += 1;
      return rig.answer();
    },
    now: () => new Date(rig.nowMs),
    log: { warn: (...said: unknown[]) => void rig.warnings.push(String(said[1])) } as never,
  });
  return rig;
}

const away = () => Promise.reject(new Error('down'));

describe("the provider's keys", () => {
  it('are fetched once for many tokens at the same time', async () => {
    const rig = aRig();
    const key = aKey();
    rig.answer = async () => ({ keys: [key.jwk] });
    const answers = await Promise.all(Array.from({ length: 200 }, () => rig.verify(key)));
    expect(new Set(answers)).toEqual(new Set(['accepted']));
    expect(rig.fetches).toBe(1);
  });

  it('are fetched at most once in 5 s by a flood of unknown keys, while the provider answers', async () => {
    const rig = aRig();
    const key = aKey();
    rig.answer = async () => ({ keys: [key.jwk] });
    await rig.verify(key);
    for (let count = 0; count < 200; count += 1) {
      rig.nowMs += 100;
      expect(await rig.verify(aKey())).toBe('token refused: it is signed with an unknown key');
    }
    expect(rig.fetches).toBe(1 + 20_000 / 5000);
  });

  it('are fetched at most once in 5 s by a flood, while the provider fails', async () => {
    const rig = aRig();
    rig.answer = away;
    for (let count = 0; count < 200; count += 1) {
      rig.nowMs += 100;
      expect(await rig.verify(aKey())).toBe('token refused: the keys of the identity provider cannot be fetched');
    }
    expect(rig.fetches).toBe(20_000 / 5000);
    expect(rig.warnings).toHaveLength(rig.fetches);
  });

  it('are not asked for again while a fetch hangs, and known keys go on working meanwhile', async () => {
    const rig = aRig();
    const key = aKey();
    rig.answer = async () => ({ keys: [key.jwk] });
    await rig.verify(key);
    rig.answer = () => new Promise(() => undefined);
    rig.nowMs += HOUR_MS;
    for (let count = 0; count < 50; count += 1) {
      rig.nowMs += 6000;
      expect(await rig.verify(key)).toBe('accepted');
    }
    expect(rig.fetches).toBe(2);
  });

  it('hold for 24 h while the provider is away, and no longer', async () => {
    const rig = aRig();
    const key = aKey();
    rig.answer = async () => ({ keys: [key.jwk] });
    await rig.verify(key);
    rig.answer = away;
    for (let hour = 1; hour < 24; hour += 1) {
      rig.nowMs += HOUR_MS;
      expect(await rig.verify(key)).toBe('accepted');
    }
    rig.nowMs += HOUR_MS;
    expect(await rig.verify(key)).toBe('token refused: the keys of the identity provider cannot be fetched');
    rig.answer = async () => ({ keys: [key.jwk] });
    rig.nowMs += 5000;
    expect(await rig.verify(key)).toBe('accepted');
  });

  it('follow a rotation: the new key at once, the old one no more', async () => {
    const rig = aRig();
    const [old, fresh] = [aKey(), aKey()];
    rig.answer = async () => ({ keys: [old.jwk] });
    await rig.verify(old);
    rig.nowMs += 5000;
    rig.answer = async () => ({ keys: [fresh.jwk] });
    expect(await rig.verify(fresh)).toBe('accepted');
    expect(await rig.verify(old)).toBe('token refused: it is signed with an unknown key');
  });

  it('are looked up anew after 10 min, so that a key taken back is not believed for long', async () => {
    const rig = aRig();
    const [kept, leaked] = [aKey(), aKey()];
    rig.answer = async () => ({ keys: [kept.jwk, leaked.jwk] });
    expect(await rig.verify(leaked)).toBe('accepted');
    rig.answer = async () => ({ keys: [kept.jwk] });
    rig.nowMs += HOUR_MS / 6;
    await rig.verify(kept);
    expect(await rig.verify(leaked)).toBe('token refused: it is signed with an unknown key');
  });

  it('survive a clock that is set back', async () => {
    const rig = aRig();
    const key = aKey();
    rig.answer = away;
    await rig.verify(key);
    rig.nowMs -= HOUR_MS;
    rig.answer = async () => ({ keys: [key.jwk] });
    expect(await rig.verify(key)).toBe('accepted');
  });

  const good = aKey();
  const twin = aKey(good.kid);
  it.each<[string, unknown]>([
    ['html', '<html></html>'],
    ['nothing', null],
    ['a set without keys', { keys: [] }],
    ['10,000 keys', { keys: Array.from({ length: 10_000 }, () => good.jwk) }],
    ['an rsa key of 512 bits', { keys: [aWeakRsaKey({ modulusLength: 512 })] }],
    ['an rsa key of 1024 bits beside a good key', { keys: [good.jwk, aWeakRsaKey({ modulusLength: 1024 })] }],
    ['an rsa key with exponent 1', { keys: [{ ...aWeakRsaKey({ modulusLength: 2048 }), e: 'AQ' }] }],
    ['an elliptic key of 0 bits', { keys: [{ ...good.jwk, x: '', y: '' }] }],
    ['a point that is not on the curve', { keys: [{ ...good.jwk, x: twin.jwk.x }] }],
    ['two keys with one id', { keys: [good.jwk, twin.jwk] }],
    ['a key for encryption only', { keys: [{ ...good.jwk, use: 'enc' }] }],
    ['a private key', { keys: [{ ...good.privateKey.export({ format: 'jwk' }), kid: 'x' }] }],
    ['a symmetric key', { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }],
    ['something that is no key', { keys: ['x'] }],
  ])('stay as they were when the provider answers with %s', async (_, answer) => {
    const rig = aRig();
    const key = aKey();
    rig.answer = async () => ({ keys: [key.jwk] });
    await rig.verify(key);
    rig.answer = async () => answer;
    rig.nowMs += HOUR_MS;
    await rig.verify(aKey());
    expect(rig.fetches).toBe(2);
    expect(await rig.verify(key)).toBe('accepted');
    expect(() => parseJwkSet(answer)).toThrow();
  });

  it('are those for signatures that can be used; a set may have others', () => {
    const others = [
      { kty: 'AKP', alg: 'ML-DSA-44', pub: 'x' },
      { ...aKey().jwk, use: 'enc' },
      { kty: 'OKP', crv: 'X25519', x: 'x' },
    ];
    expect(parseJwkSet({ keys: [...others, good.jwk] }).keys).toEqual([good.jwk]);
  });
});

describe('discovery', () => {
  let server: ReturnType<typeof createServer>;
  let issuer: string;
  let respond: RequestListener;
  let paths: string[];

  beforeEach(async () => {
    paths = [];
    server = createServer((request, response) => {
      paths.push(request.url ?? '');
      respond(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    issuer = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  });
  afterEach(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );

  const json =
    (value: unknown): RequestListener =>
    (_, response) =>
      response.end(JSON.stringify(value));

  it('leads to the keys of the issuer', async () => {
    respond = (request, response) =>
      request.url === '/jwks'
        ? json({ keys: [] })(request, response)
        : json({ issuer, jwks_uri: `${issuer}/jwks` })(request, response);
    expect(await fetchProviderKeys(issuer)).toEqual({ keys: [] });
    expect(paths).toEqual(['/.well-known/openid-configuration', '/jwks']);
  });

  it.each<[string, (issuer: string) => unknown]>([
    ['is of another issuer', (own) => ({ issuer: 'https://evil.test', jwks_uri: `${own}/jwks` })],
    ['differs in a slash', (own) => ({ issuer: `${own}/`, jwks_uri: `${own}/jwks` })],
    ['names no keys', (own) => ({ issuer: own })],
    ['names keys over http elsewhere', (own) => ({ issuer: own, jwks_uri: 'http://127.0.0.1:1/jwks' })],
    ['names a file', (own) => ({ issuer: own, jwks_uri: 'file:///etc/passwd' })],
    ['is no object', () => 'x'],
    ['is null', () => null],
  ])('is refused when the document %s', async (_, document) => {
    respond = json(document(issuer));
    await expect(fetchProviderKeys(issuer)).rejects.toThrow();
    expect(paths).toHaveLength(1);
  });

  it('does not follow redirects', async () => {
    respond = (_, response) => response.writeHead(302, { location: `${issuer}/elsewhere` }).end();
    await expect(fetchProviderKeys(issuer)).rejects.toThrow();
    expect(paths).toHaveLength(1);
  });

  it('is cut off when the answer is too large', async () => {
    respond = (_, response) => response.end(`"${'x'.repeat(10 * 1024 * 1024)}"`);
    await expect(fetchProviderKeys(issuer)).rejects.toThrow('larger than');
  });

  it('fails on html and on an error', async () => {
    respond = (_, response) => response.end('<html></html>');
    await expect(fetchProviderKeys(issuer)).rejects.toThrow();
    respond = (_, response) => response.writeHead(500).end();
    await expect(fetchProviderKeys(issuer)).rejects.toThrow('answered 500');
  });
});

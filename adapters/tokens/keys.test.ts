import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, it } from 'vitest';
import { decryptEnvironment, encryptEnvironment } from './environment-envelope.ts';
import { readPrivateJwk } from './key-files.ts';
import { generateControlKey, generateNodeKeys, parsePrivateJwk, parsePublicJwk, thumbprint } from './keys.ts';
import { decryptRegistryCredential, encryptRegistryCredential } from './registry-credential-envelope.ts';

describe('keys', () => {
  it('are named by their own thumbprint', async () => {
    const { publicJwk, privateJwk } = generateControlKey();
    expect(publicJwk.kid).toBe(await calculateJwkThumbprint(publicJwk));
    expect(thumbprint(privateJwk)).toBe(publicJwk.kid);
  });

  it('are taken from others when they are public P-256 keys, and only their public members', () => {
    const { publicJwk } = generateNodeKeys().encryption;
    const parsed = parsePublicJwk(
      JSON.stringify({ ...publicJwk, kid: 'chosen', x5u: 'https://evil.test' }),
      'signing_jwk',
    );
    expect(parsed).toEqual(publicJwk);
  });

  const { publicJwk, privateJwk } = generateControlKey();
  const other = generateControlKey().publicJwk;
  it.each<[string, string]>([
    ['private', JSON.stringify(privateJwk)],
    ['no json', 'x'],
    ['null', 'null'],
    ['a list', '[]'],
    ['symmetric', '{"kty":"oct","k":"AAAA"}'],
    [
      'of another curve',
      JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })),
    ],
    ['not on the curve', JSON.stringify({ ...publicJwk, x: other.x })],
  ])('are refused from others when they are %s, naming the field', (_, text) => {
    expect(() => parsePublicJwk(text, 'signing_jwk')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'signing_jwk' }),
    );
  });

  it('are read from their file, and never repeated in an error', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'obiente-jwk-'));
    const path = join(folder, 'key.jwk');
    await writeFile(path, JSON.stringify(privateJwk), { mode: 0o600 });
    expect(await readPrivateJwk(path, 'CONTROL_KEY_FILE')).toEqual(privateJwk);
    await rm(folder, { recursive: true });
    const broken = JSON.stringify({ ...privateJwk, x: 'canary-4711' });
    expect(() => parsePrivateJwk(broken, 'CONTROL_KEY_FILE')).toThrow(/^CONTROL_KEY_FILE: the file does not hold/);
    expect(() => parsePrivateJwk(broken, 'CONTROL_KEY_FILE')).not.toThrow('canary');
  });
});

describe('an environment on its way to a node', () => {
  const { encryption } = generateNodeKeys();
  const variables = [
    { name: 'QUOTED', value: '$ # " \' \\ \n ü' },
    { name: '__proto__', value: 'canary-4711' },
    { name: 'constructor', value: '' },
  ];

  it('opens only with the key of that node, byte for byte', async () => {
    const jwe = await encryptEnvironment(encryption.publicJwk, variables);
    expect(await decryptEnvironment(encryption.privateJwk, jwe)).toEqual(variables);
    const opened = decryptEnvironment(generateNodeKeys().encryption.privateJwk, jwe);
    await expect(opened).rejects.toMatchObject({ code: 'INTERNAL', message: expect.not.stringContaining('canary') });
  });

  it('does not open after a change, nor in another algorithm', async () => {
    const jwe = await encryptEnvironment(encryption.publicJwk, variables);
    const parts = jwe.split('.');
    const header = Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url');
    for (const changed of [`${jwe}A`, parts.slice(1).join('.'), [header, ...parts.slice(1)].join('.'), '', 'x']) {
      await expect(decryptEnvironment(encryption.privateJwk, changed)).rejects.toMatchObject({ code: 'INTERNAL' });
    }
  });

  it('shows nothing of itself, and differs each time', async () => {
    const [one, two] = await Promise.all([1, 2].map(() => encryptEnvironment(encryption.publicJwk, variables)));
    expect(one).not.toBe(two);
    expect(one).toMatch(/^[\w-]+(\.[\w-]+){4}$/);
  });
});

describe('a registry credential on its way to a node', () => {
  const { encryption } = generateNodeKeys();
  const credential = { id: 'an-id', username: 'robot', password: 'canary-4711 "\\' };

  it('opens only with the key of that node, and only as what it is', async () => {
    const jwe = await encryptRegistryCredential(encryption.publicJwk, credential);
    expect(await decryptRegistryCredential(encryption.privateJwk, jwe)).toEqual(credential);
    const refused = { code: 'INTERNAL', message: expect.not.stringContaining('canary') };
    const byOthers = decryptRegistryCredential(generateNodeKeys().encryption.privateJwk, jwe);
    await expect(byOthers).rejects.toMatchObject(refused);
    await expect(decryptEnvironment(encryption.privateJwk, jwe)).rejects.toMatchObject(refused);
    const environment = await encryptEnvironment(encryption.publicJwk, [{ name: 'password', value: 'canary' }]);
    await expect(decryptRegistryCredential(encryption.privateJwk, environment)).rejects.toMatchObject(refused);
  });
});

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkPrivateKey, generateDeployKey } from './deploy-key.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-keys-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function aKeyFile(...options: readonly string[]): Promise<string> {
  const file = join(folder, `key-${options.join('')}`.replace(/\W/g, ''));
  execFileSync('ssh-keygen', ['-q', '-C', '', '-f', file, ...options]);
  return await readFile(file, 'utf8');
}

describe('a deploy key', () => {
  it('is read by ssh-keygen as the pair that it is, another one each time', async () => {
    const made = Array.from({ length: 8 }, generateDeployKey);
    expect(new Set(made.map(({ privateKey }) => privateKey)).size).toBe(8);
    for (const [index, { privateKey, publicKey }] of made.entries()) {
      const file = join(folder, `made-${index}`);
      await writeFile(file, privateKey, { mode: 0o600 });
      expect(execFileSync('ssh-keygen', ['-y', '-f', file]).toString().trim()).toBe(publicKey);
      expect(publicKey).toContain(checkPrivateKey('key', privateKey).publicKey);
    }
  });

  it('is taken in the forms that ssh-keygen writes', async () => {
    for (const type of ['ed25519', 'ecdsa', 'rsa']) {
      const { publicKey } = checkPrivateKey('key', await aKeyFile('-t', type, '-N', ''));
      expect(publicKey).toMatch(/^(ssh|ecdsa)-\S+ \S+$/);
    }
    expect(checkPrivateKey('key', await aKeyFile('-t', 'rsa', '-m', 'PEM', '-N', ''))).toEqual({ publicKey: '' });
  });

  it('is refused with a passphrase, broken, or when it is none; without any of it', async () => {
    const pem = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    const whole = generateDeployKey().privateKey;
    for (const [text, finding] of [
      [await aKeyFile('-t', 'ed25519', '-N', 'secret'), 'passphrase'],
      [await aKeyFile('-t', 'ecdsa', '-m', 'PEM', '-N', 'secret'), 'passphrase'],
      [generateKeyPairSync('ed25519').privateKey.export(pem).toString(), 'passphrase'],
      [whole.replace(/\n.{70}\n/, '\n'), 'broken'],
      [`${whole.slice(0, 60)}\n-----END OPENSSH PRIVATE KEY-----`, 'broken'],
      [generateDeployKey().publicKey, 'no private key'],
      ['canary', 'no private key'],
    ] as const) {
      expect(() => checkPrivateKey('key', text)).toThrow(finding);
      expect(() => checkPrivateKey('key', text)).not.toThrow(/canary|AAAA/);
    }
  });
});

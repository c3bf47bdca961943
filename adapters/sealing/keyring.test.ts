import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeyring, keyId, parseKeys, readKeyring } from './keyring.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-key-'));
});
afterEach(() => rm(folder, { recursive: true }));

const WRONG: readonly (readonly [what: string, text: string])[] = [
  ['empty', ''],
  ['a word', 'changeme'],
  ['31 bytes', Buffer.alloc(31, 7).toString('base64')],
  ['33 bytes', randomBytes(33).toString('base64')],
  ['all zeros', Buffer.alloc(32).toString('base64')],
  ['one byte over and over', Buffer.alloc(32, 'a').toString('base64')],
  ['a repeated phrase', Buffer.from('correct horse correct horse corr').toString('base64')],
  ['not base64', `${'!'.repeat(44)}`],
  ['hex', randomBytes(32).toString('hex')],
];

describe('a key', () => {
  it('is 32 random bytes in base64', () => {
    for (let count = 0; count < 1000; count += 1) {
      const key = randomBytes(32);
      expect(parseKeys(`${key.toString('base64')}\n`, 'K').map((parsed) => Buffer.from(parsed))).toEqual([key]);
    }
  });

  it.each(WRONG)('is refused when it is %s, without being repeated', (_, text) => {
    const parse = () => parseKeys(text, 'MASTER_KEY_FILE');
    expect(parse).toThrow(expect.objectContaining({ code: 'CONFIGURATION' }));
    expect(parse).toThrow(/^MASTER_KEY_FILE: the key (is|has)/);
    if (text !== '') expect(parse).not.toThrow(text);
  });

  it.each(WRONG.slice(1))('is refused behind a good one when it is %s', (_, text) => {
    const good = randomBytes(32).toString('base64');
    const parse = () => parseKeys(`${good}\n${text}\n`, 'MASTER_KEY_FILE');
    expect(parse).toThrow(/^MASTER_KEY_FILE: key 2 of 2 (is|has)/);
    expect(parse).not.toThrow(text);
    expect(parse).not.toThrow(good);
  });

  it('has a name that says nothing of it, and stays the same for ever', () => {
    expect(keyId(Buffer.from('00112233445566778899aabbccddeeff'))).toBe('f70f11c6');
    const [one, other] = [randomBytes(32), randomBytes(32)];
    expect(keyId(one)).toMatch(/^[0-9a-f]{8}$/);
    expect(keyId(one)).not.toBe(keyId(other));
  });
});

describe('a keyring', () => {
  const keys = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const text = keys.map((key) => `${key.toString('base64')}\r\n`).join('\n');

  it('encrypts with its first key and decrypts with all', () => {
    const [first, ...others] = parseKeys(text, 'K');
    const keyring = createKeyring(first, ...others);
    expect(Buffer.from(keyring.present.key)).toEqual(keys[0]);
    expect(keyring.ids).toEqual(keys.map(keyId));
    for (const key of keys) expect(Buffer.from(keyring.find(keyId(key)) ?? [])).toEqual(key);
    expect(keyring.find('00000000')).toBeUndefined();
  });

  it('has each key once, and eight at most', () => {
    expect(() => parseKeys(`${text}\n${keys[1]?.toString('base64')}`, 'K')).toThrow('K: key 4 of 4 is there already');
    const many = Array.from({ length: 9 }, () => randomBytes(32).toString('base64')).join('\n');
    expect(() => parseKeys(many, 'K')).toThrow('K: found 9 keys; allowed are 1 to 8');
  });

  it('comes from a file that only its owner and group may read', async () => {
    const path = join(folder, 'master');
    await writeFile(path, text, { mode: 0o600 });
    expect((await readKeyring(path, 'MASTER_KEY_FILE')).ids).toEqual(keys.map(keyId));
    await chmod(path, 0o644);
    await expect(readKeyring(path, 'MASTER_KEY_FILE')).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: `MASTER_KEY_FILE: ${path} is open to every user`,
    });
  });

  it('is asked for by name when its file is missing, empty or much too large', async () => {
    const read = (path: string) => readKeyring(path, 'MASTER_KEY_FILE');
    await expect(read(join(folder, 'none'))).rejects.toThrow('MASTER_KEY_FILE');
    await expect(read(folder)).rejects.toMatchObject({ code: 'CONFIGURATION' });
    const path = join(folder, 'master');
    await writeFile(path, '\n', { mode: 0o600 });
    await expect(read(path)).rejects.toThrow('is empty');
    await writeFile(path, 'x'.repeat(100_000), { mode: 0o600 });
    await expect(read(path)).rejects.toThrow('has 100000 bytes');
  });
});

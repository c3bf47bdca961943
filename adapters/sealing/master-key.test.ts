import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseMasterKey, readMasterKey } from './master-key.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-key-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the master key', () => {
  it('is 32 random bytes in base64', () => {
    for (let count = 0; count < 1000; count += 1) {
      const key = randomBytes(32);
      expect(Buffer.from(parseMasterKey(`${key.toString('base64')}\n`, 'K'))).toEqual(key);
    }
  });

  it.each([
    ['empty', ''],
    ['a word', 'changeme'],
    ['31 bytes', Buffer.alloc(31, 7).toString('base64')],
    ['33 bytes', randomBytes(33).toString('base64')],
    ['all zeros', Buffer.alloc(32).toString('base64')],
    ['one byte over and over', Buffer.alloc(32, 'a').toString('base64')],
    ['a repeated phrase', Buffer.from('correct horse correct horse corr').toString('base64')],
    ['not base64', `${'!'.repeat(44)}`],
    ['hex', randomBytes(32).toString('hex')],
  ])('is refused when it is %s, without being repeated', (_, text) => {
    const parse = () => parseMasterKey(text, 'MASTER_KEY_FILE');
    expect(parse).toThrow(expect.objectContaining({ code: 'CONFIGURATION' }));
    expect(parse).toThrow(/^MASTER_KEY_FILE: the key (is|has)/);
    if (text !== '') expect(parse).not.toThrow(text);
  });

  it('comes from a file that only its owner and group may read', async () => {
    const path = join(folder, 'master');
    const key = randomBytes(32);
    await writeFile(path, key.toString('base64'), { mode: 0o600 });
    expect(Buffer.from(await readMasterKey(path))).toEqual(key);
    await chmod(path, 0o644);
    await expect(readMasterKey(path)).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: `MASTER_KEY_FILE: ${path} is open to every user`,
    });
  });

  it('is asked for by name when its file is missing, empty or much too large', async () => {
    await expect(readMasterKey(join(folder, 'none'))).rejects.toThrow('MASTER_KEY_FILE');
    await expect(readMasterKey(folder)).rejects.toMatchObject({ code: 'CONFIGURATION' });
    const path = join(folder, 'master');
    await writeFile(path, '\n', { mode: 0o600 });
    await expect(readMasterKey(path)).rejects.toThrow('is empty');
    await writeFile(path, 'x'.repeat(100_000), { mode: 0o600 });
    await expect(readMasterKey(path)).rejects.toThrow('has 100000 bytes');
  });
});

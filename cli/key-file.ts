import { randomBytes, randomUUID } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { keyId, parseKeys } from '../adapters/sealing/keyring.ts';
import { readSecretFile } from '../adapters/sealing/secret-file.ts';
import { withFileLock } from './file-lock.ts';

/** Keys of a file, the one that writes first. */
export type Keys = readonly Uint8Array[];

const KEY_BYTES = 32;

/** A fresh key. */
export function makeKey(): Uint8Array {
  return randomBytes(KEY_BYTES);
}

/** Reads the keys of a file; none when there is no such file. @throws CONFIGURATION as `readKeyring` does */
export async function readKeyFile(path: string): Promise<Keys> {
  if (!(await exists(path))) return [];
  return parseKeys(await readSecretFile(path, 'the file of keys'), path);
}

/**
 * Changes the keys of a file, which is replaced as a whole and stays with its owner; a new one is readable by its owner
 * only. Two changes at the same time come one after the other.
 *
 * @returns the ids of the keys as they are then.
 */
export async function changeKeyFile(path: string, change: (keys: Keys) => Keys): Promise<readonly string[]> {
  return await withFileLock(`${path}.lock`, async () => {
    const keys = change(await readKeyFile(path));
    const text = keys.map((key) => `${Buffer.from(key).toString('base64')}\n`).join('');
    // What is written must be readable by every role.
    parseKeys(text, path);
    await replace(path, text);
    return keys.map(keyId);
  });
}

async function replace(path: string, text: string): Promise<void> {
  const before = (await exists(path)) ? await stat(path) : undefined;
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      if (before) {
        await file.chown(before.uid, before.gid);
        await file.chmod(before.mode & 0o777);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestFolders } from './digest-folders.ts';
import { readSourceFile } from './source-file.ts';

let folder: string;
let root: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-source-'));
  root = join(folder, 'repository');
  await mkdir(root);
  await writeFile(join(folder, 'secret'), 'canary');
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, content: string | Buffer = path): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

const REFUSED = { code: 'SOURCE_REFUSED' };

describe('a settings file of a source', () => {
  it('is read as it is, also below a folder, and is nothing where there is none', async () => {
    await put('compose.yaml', 'services: {}\n');
    await put('deploy/compose.yaml', 'ümlaut');
    expect(await readSourceFile(root, 'compose.yaml')).toBe('services: {}\n');
    expect(await readSourceFile(root, './compose.yaml')).toBe('services: {}\n');
    expect(await readSourceFile(root, 'deploy/compose.yaml')).toBe('ümlaut');
    for (const path of ['.env', 'deploy/.env', 'no/such/file', 'compose.yaml/below', '../secret', 'x'.repeat(300)]) {
      expect(await readSourceFile(root, path)).toBeNull();
    }
  });

  it('is never read through a link, wherever on the way it is', async () => {
    await put('deploy/compose.yaml');
    await symlink('../secret', join(root, 'compose.yaml'));
    await symlink('deploy', join(root, 'link'));
    await symlink('/etc', join(root, 'etc'));
    for (const path of ['compose.yaml', 'link/compose.yaml', 'etc/passwd', 'link']) {
      await expect(readSourceFile(root, path)).rejects.toMatchObject(REFUSED);
    }
  });

  it('is refused when it is a folder, too large, or no text, without its content', async () => {
    await put('folder/x');
    await put('large', `canary${'x'.repeat(256 * 1024)}`);
    await put('largest', 'x'.repeat(256 * 1024));
    await put('binary', Buffer.concat([Buffer.from('canary'), Buffer.from([0xff, 0xfe])]));
    for (const path of ['folder', 'large', 'binary']) {
      const refusal = await readSourceFile(root, path).catch((error: Error) => error);
      expect(refusal).toMatchObject(REFUSED);
      expect(String(refusal)).not.toContain('canary');
    }
    expect(await readSourceFile(root, 'largest')).toHaveLength(256 * 1024);
  });
});

describe('what services are built from', () => {
  const { signal } = new AbortController();
  const of = (service: string, path: string, dockerfilePath = 'Dockerfile') => ({
    service,
    folder: path,
    dockerfilePath,
  });
  const digest = (...folders: Parameters<typeof digestFolders>[1]) => digestFolders(root, folders, signal);

  it('has another digest when a file of it changes, and the same one when another folder does', async () => {
    for (const path of ['web/Dockerfile', 'web/index.html', 'api/Dockerfile']) await put(path);
    const before = await digest(of('web', 'web'), of('api', 'api'), of('worker', 'api'));
    expect(before.web).toMatch(/^[0-9a-f]{64}$/);
    expect(before.worker).toBe(before.api);
    await put('web/index.html', 'changed');
    const after = await digest(of('web', 'web'), of('api', 'api'));
    expect(after.web).not.toBe(before.web);
    expect(after.api).toBe(before.api);
    await put('web/.dockerignore', 'ignored\n');
    const ignoring = await digest(of('web', 'web'));
    await put('web/ignored', 'x');
    expect(await digest(of('web', 'web'))).toEqual(ignoring);
  });

  it('is refused where the folder is missing, a file or a link, or holds a link out of it', async () => {
    await put('file');
    await put('web/Dockerfile');
    await put('shared');
    await symlink('web', join(root, 'link'));
    for (const path of ['none', 'file', 'link', 'link/x', '../secret']) {
      await expect(digest(of('web', path))).rejects.toMatchObject({
        ...REFUSED,
        message: expect.stringContaining('services.web.build'),
      });
    }
    await symlink('../shared', join(root, 'web/shared'));
    await expect(digest(of('web', 'web'))).rejects.toMatchObject(REFUSED);
  });

  it('is left out where it is too much to look at, and stops at once when nobody wants it any more', async () => {
    await put('small/Dockerfile');
    await put('large/Dockerfile', 'x'.repeat(100_000));
    const folders = [of('small', 'small'), of('large', 'large'), of('other', 'large', 'Other'), of('again', 'small')];
    const digests = await digestFolders(root, folders, signal, 20_000);
    expect(Object.keys(digests).sort()).toEqual(['again', 'small']);
    await expect(digestFolders(root, folders, AbortSignal.abort(new Error('no more')))).rejects.toThrow('no more');
  });
});

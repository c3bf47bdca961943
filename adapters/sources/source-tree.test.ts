import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packTree } from './pack-tree.ts';
import { readSourceTree } from './source-tree.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-tree-'));
});

afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, text = path): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

async function packed(subdirectory: string, dockerfile?: string): Promise<{ names: string[]; sha256: string }> {
  const stream = packTree({ folder, subdirectory, ...(dockerfile === undefined ? {} : { dockerfile }) });
  const hash = createHash('sha256');
  const names: string[] = [];
  const tar = extract();
  stream.on('data', (chunk: Buffer) => hash.update(chunk));
  stream.on('error', (error) => tar.destroy(error));
  for await (const entry of stream.pipe(tar)) {
    names.push(entry.header.name);
    entry.resume();
  }
  return { names, sha256: hash.digest('hex') };
}

describe('a packed tree', () => {
  it('begins at its subdirectory, and has the same bytes for the same files', async () => {
    for (const path of ['Dockerfile', 'apps/web/Dockerfile', 'apps/web/src/b', 'apps/web/src/a']) await put(path);
    const first = await packed('apps/web');
    expect(first.names).toEqual(['Dockerfile', 'src', 'src/a', 'src/b']);
    await utimes(join(folder, 'apps/web/src/a'), 1, 1);
    await put('other');
    expect(await packed('apps/web')).toEqual(first);
    await put('apps/web/src/a', 'changed');
    expect((await packed('apps/web')).sha256).not.toBe(first.sha256);
  });

  it('leaves out what .dockerignore names, but never its Dockerfile', async () => {
    for (const path of ['docker/web', 'secret', 'main']) await put(path);
    await put('.dockerignore', 'secret\ndocker\n');
    expect((await packed('', 'docker/web')).names).toEqual(['.dockerignore', 'docker/web', 'main']);
  });

  it('fails for a link that leaves it, even one that stays in the repository', async () => {
    await put('shared');
    await put('apps/Dockerfile');
    await symlink('../shared', join(folder, 'apps/shared'));
    await expect(packed('apps')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('the look at a tree', () => {
  it('finds the files of its root and of the folders of pages, and reads what it is told to', async () => {
    for (const path of ['a/package.json', 'a/public/index.html', 'a/src/index.html', 'index.html']) await put(path);
    const tree = await readSourceTree(folder, 'a');
    expect(tree.files.toSorted()).toEqual(['package.json', 'public/index.html']);
    expect(tree.contents).toEqual({ 'package.json': 'a/package.json' });
  });

  it('follows no link and reads no more than it needs', async () => {
    await put('secret');
    await mkdir(join(folder, 'a'));
    await symlink('../secret', join(folder, 'a/package.json'));
    await symlink('..', join(folder, 'a/public'));
    await put('a/Dockerfile');
    expect(await readSourceTree(folder, 'a')).toEqual({ files: ['Dockerfile'], contents: {} });
    await put('b/package.json', 'x'.repeat(1024 * 1024));
    expect((await readSourceTree(folder, 'b')).contents['package.json']).toHaveLength(256 * 1024);
  });
});

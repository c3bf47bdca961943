import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listContext, packContext } from './pack-context.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'context-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function put(path: string, text = path): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

async function pathsOf(dockerfile = 'Dockerfile'): Promise<string[]> {
  return (await listContext(folder, dockerfile)).map(({ path }) => path);
}

async function hashOf(): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of packContext(folder, await listContext(folder, 'Dockerfile'))) hash.update(piece);
  return hash.digest('hex');
}

describe('a build context', () => {
  it('has the same bytes whenever, wherever and by whomever it is packed', async () => {
    put('Dockerfile');
    chmodSync(put('bin/run'), 0o755);
    put('empty', '');
    symlinkSync('bin/run', join(folder, 'link'));
    const first = await hashOf();

    utimesSync(join(folder, 'bin/run'), 1, 1);
    chmodSync(join(folder, 'Dockerfile'), 0o600);
    chmodSync(join(folder, 'bin/run'), 0o777);
    expect(await hashOf()).toBe(first);

    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    put('empty', '');
    symlinkSync('bin/run', join(folder, 'link'));
    chmodSync(put('bin/run'), 0o700);
    put('Dockerfile');
    expect(await hashOf()).toBe(first);
  });

  it.each([
    ['content', () => put('Dockerfile', 'FROM other')],
    ['a name', () => put('more')],
    ['the right to execute', () => chmodSync(join(folder, 'Dockerfile'), 0o755)],
  ])('has other bytes when %s changes', async (_, change) => {
    put('Dockerfile');
    const first = await hashOf();
    change();
    expect(await hashOf()).not.toBe(first);
  });

  it('is an archive that tar reads', async () => {
    put('Dockerfile');
    put(`deep/${'x'.repeat(200)}/ünïcode`);
    const pieces: Buffer[] = [];
    for await (const piece of packContext(folder, await listContext(folder, 'Dockerfile'))) pieces.push(piece);
    const listed = execFileSync('tar', ['-t', '--quoting-style=literal'], {
      input: Buffer.concat(pieces),
      encoding: 'utf8',
    });
    expect(listed.split('\n')).toContain(`deep/${'x'.repeat(200)}/ünïcode`);
  });

  it('leaves out what .dockerignore names, and what no image needs', async () => {
    put('Dockerfile');
    put('.dockerignore', '# comment\nnode_modules\n*.log\n!keep.log\nsecret/**\n');
    for (const path of [
      'node_modules/a/b',
      'a.log',
      'keep.log',
      'secret/key',
      'src/a.log',
      '.git/HEAD',
      '.obiente/keys/master',
    ])
      put(path);
    const paths = await pathsOf();
    expect(paths).toEqual(expect.arrayContaining(['.dockerignore', 'Dockerfile', 'keep.log', 'src', 'src/a.log']));
    for (const path of ['a.log', 'node_modules/a/b', 'secret/key', '.git', '.git/HEAD', '.obiente/keys/master']) {
      expect(paths).not.toContain(path);
    }
  });

  it('always holds its Dockerfile, even one that is ignored', async () => {
    put('build/Dockerfile.web');
    put('.dockerignore', '*\n');
    expect(await pathsOf('build/Dockerfile.web')).toEqual(['.dockerignore', 'build/Dockerfile.web']);
  });

  it('refuses a socket, unless it is ignored', async () => {
    put('Dockerfile');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(folder, 'app.sock'), resolve));
    try {
      await expect(pathsOf()).rejects.toThrow('app.sock: is a socket, pipe or device');
      put('.dockerignore', '*.sock\n');
      expect(await pathsOf()).not.toContain('app.sock');
    } finally {
      server.close();
    }
  });

  it.each(['/etc/passwd', '../outside', 'a/../../outside'])('refuses a link to %s', async (target) => {
    put('Dockerfile');
    symlinkSync(target, join(folder, 'link'));
    await expect(pathsOf()).rejects.toThrow('outside of the folder');
  });

  it('fails when a file changes while it is packed, instead of sending half of it', async () => {
    put('Dockerfile', 'FROM scratch\n'.repeat(100));
    const entries = await listContext(folder, 'Dockerfile');
    put('Dockerfile', 'FROM');
    const reading = async (): Promise<void> => {
      for await (const _ of packContext(folder, entries));
    };
    await expect(reading()).rejects.toThrow();
  });
});

import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTestRepository } from '../../test/support/git-repository.ts';
import { aFetch, type GitRig, startGitRig } from '../../test/support/git-rig.ts';
import { startGitServer } from '../../test/support/git-server.ts';

const LOGIN = { username: 'deployer', password: 'hunter2-canary' };
const NONE = { kind: 'none' } as const;

let rig: GitRig;

beforeAll(async () => {
  rig = await startGitRig();
});

afterEach(() => {
  rig.server.behaviour = {};
  rig.server.requests.length = 0;
});

afterAll(() => rig.stop());

function resolve(ref: string, url: string, credential: typeof NONE | ({ kind: 'https' } & typeof LOGIN) = NONE) {
  return rig.sources.resolveRef({ url, ref, credential, signal: new AbortController().signal });
}

describe('the commit that a ref stands for', () => {
  it('is found for branches, tags, full names and the default branch, and a commit stands for itself', async () => {
    const repository = rig.repository('refs.git');
    const one = repository.commit({ a: '1' });
    const two = repository.commit({ a: '2' }, { ref: 'refs/heads/feature/x', parent: one });
    repository.git(['tag', 'light', one]);
    repository.git(['tag', '-a', '-m', 'first', 'v1', one]);
    repository.git(['update-ref', 'refs/pull/7/head', two]);
    const url = rig.server.url('refs.git');
    const expected: [string, string][] = [
      ['main', one],
      ['feature/x', two],
      ['light', one],
      ['v1', one],
      ['refs/tags/v1', one],
      ['refs/pull/7/head', two],
      ['HEAD', one],
      ['f'.repeat(40), 'f'.repeat(40)],
    ];
    for (const [ref, commit] of expected) expect([ref, await resolve(ref, url)]).toEqual([ref, { commit }]);
  });

  it('is refused when nothing, or more than one, has exactly that name', async () => {
    const repository = rig.repository('ambiguous.git');
    const commit = repository.commit({ a: '1' });
    repository.git(['update-ref', 'refs/heads/deep/main', commit]);
    repository.git(['tag', 'both', commit]);
    repository.git(['branch', 'both', commit]);
    const url = rig.server.url('ambiguous.git');
    for (const ref of ['mai', 'deep', 'Main']) {
      await expect(resolve(ref, url)).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
    }
    await expect(resolve('both', url)).rejects.toThrow('both is both a branch and a tag');
    expect(await resolve('main', url)).toEqual({ commit });
    expect(await resolve('refs/tags/both', url)).toEqual({ commit });
  });

  it('is refused in an empty repository', async () => {
    rig.repository('empty.git');
    await expect(resolve('HEAD', rig.server.url('empty.git'))).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
  });
});

describe('a fetched commit', () => {
  it('is exactly the one that was asked for, after the branch has moved on', async () => {
    const repository = rig.repository('moved.git');
    const old = repository.commit({ a: 'old', 'dir/b': { mode: '100755', content: 'run' } });
    repository.commit({ a: 'new' }, { parent: old });
    const { files, result, into } = await rig.fetch({ url: rig.server.url('moved.git'), commit: old });
    expect(files).toEqual({ a: 'old', 'dir/b': 'run' });
    expect(result).toEqual({ files: 2, bytes: 6 });
    expect((await stat(join(into, 'dir/b'))).mode & 0o111).not.toBe(0);
    expect((await stat(join(into, 'a'))).mode & 0o111).toBe(0);
  });

  it('comes from a server that hands out no single commits, by its branches and tags', async () => {
    const repository = rig.repository('old.git');
    const first = repository.commit({ a: 'first' });
    repository.commit({ a: 'second' }, { parent: first });
    const gone = repository.commit({ a: 'gone' }, { ref: 'refs/heads/gone' });
    repository.git(['update-ref', '-d', 'refs/heads/gone']);
    rig.server.behaviour = { isOld: true };
    const lines: string[] = [];
    const url = rig.server.url('old.git');
    const { files } = await rig.fetch({ url, commit: first, onProgress: (line) => lines.push(line) });
    expect(files).toEqual({ a: 'first' });
    expect(lines).toContain('the server hands out no single commits: fetching all branches and tags');
    await expect(rig.fetch({ url, commit: gone })).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
  });

  it('may be of a repository with SHA-256 ids', async () => {
    const repository = rig.repository('sha256.git', 'sha256');
    const commit = repository.commit({ a: 'long' });
    expect(commit).toHaveLength(64);
    const { files } = await rig.fetch({ url: rig.server.url('sha256.git'), commit });
    expect(files).toEqual({ a: 'long' });
  });

  it('is only its subdirectory when that was asked for, links and all', async () => {
    const repository = rig.repository('mono.git');
    const link = { mode: '120000', content: '../shared' };
    const commit = repository.commit({
      a: '1',
      'apps/web/b': '2',
      'apps/web/c/d': '3',
      'apps/web/c/l': link,
      'apps/x': '4',
    });
    const url = rig.server.url('mono.git');
    const { files, result } = await rig.fetch({ url, commit, subdirectory: 'apps/web' });
    expect(files).toEqual({ 'apps/web/b': '2', 'apps/web/c/d': '3', 'apps/web/c/l': '-> ../shared' });
    expect(result.files).toBe(3);
    for (const subdirectory of ['apps/mobile', 'a', 'apps/web/c/l']) {
      await expect(rig.fetch({ url, commit, subdirectory })).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
    }
  });

  it('is byte for byte what the repository has, whatever its attributes ask for', async () => {
    const repository = rig.repository('attributes.git');
    const binary = Buffer.from([0, 255, 10, 13, 10, 0]);
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`;
    const files = {
      '.gitattributes': '*.txt eol=crlf ident\n*.bin filter=lfs\n*.cmd filter=evil\n',
      'a.txt': 'one\ntwo $Id$\n',
      'b.bin': pointer,
      'c.dat': { content: binary },
      'd.cmd': 'untouched',
      empty: '',
      'ünï cödé': 'x',
    };
    const commit = repository.commit(files);
    const lines: string[] = [];
    const fetched = await rig.fetch({
      url: rig.server.url('attributes.git'),
      commit,
      onProgress: (line) => lines.push(line),
    });
    expect(fetched.files).toEqual({ ...files, 'c.dat': binary.toString('utf8') });
    expect((await stat(join(fetched.into, 'c.dat'))).size).toBe(binary.length);
    expect(lines).toContain('1 files are Git LFS pointers: their contents are not fetched');
  });

  it('tells how far it is', async () => {
    const repository = rig.repository('progress.git');
    const commit = repository.commit(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, `${i}`])));
    const lines: string[] = [];
    await rig.fetch({ url: rig.server.url('progress.git'), commit, onProgress: (line) => lines.push(line) });
    expect(lines).toContainEqual(expect.stringMatching(/^Receiving objects: 100% \(5[12]\/5[12]\)/));
  });

  it.each([
    ['that is not there', () => 'f'.repeat(40)],
    ['that is a tag', (tag: string) => tag],
  ])('%s is refused', async (_, choose) => {
    const repository = rig.repository(`choose-${Math.random()}.git`);
    const commit = repository.commit({ a: '1' });
    repository.git(['tag', '-a', '-m', 'x', 'v1', commit]);
    const asked = choose(repository.git(['rev-parse', 'v1']));
    const url = rig.server.url(repository.folder.slice(rig.root.length + 1));
    await expect(rig.fetch({ url, commit: asked })).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
  });
});

describe('a credential', () => {
  it('opens what is closed, and is shown to its own server only', async () => {
    const commit = rig.repository('closed.git').commit({ a: 'secret' });
    const url = rig.server.url('closed.git');
    rig.server.behaviour = { login: LOGIN };
    for (const credential of [NONE, { kind: 'https', ...LOGIN, password: 'wrong-canary' } as const]) {
      await expect(resolve('main', url, credential)).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
      await expect(rig.fetch({ url, commit, credential })).rejects.toMatchObject({
        code: 'SOURCE_REFUSED',
        message: expect.stringContaining('the server refused the credential, or wants one'),
      });
    }
    const credential = { kind: 'https', ...LOGIN } as const;
    expect(await resolve('main', url, credential)).toEqual({ commit });
    expect((await rig.fetch({ url, commit, credential })).files).toEqual({ a: 'secret' });
  });

  it.each([
    ['for the other protocol', { kind: 'ssh', privateKey: 'x', knownHosts: { lines: '' } } as const],
    ['without a password', { kind: 'https', username: 'x', password: '' } as const],
    ['with a colon in its name', { kind: 'https', username: 'a:b', password: 'x' } as const],
  ])('%s is refused before a server is asked', async (_, credential) => {
    const request = {
      ...aFetch(),
      url: rig.server.url('x.git'),
      commit: 'f'.repeat(40),
      into: join(rig.folder, 'never'),
    };
    await expect(rig.sources.fetchCommit({ ...request, credential })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(rig.server.requests).toEqual([]);
  });
});

describe('submodules', () => {
  it('are fetched with relative and absolute URLs, also those of submodules, at their own commits', async () => {
    const leaf = rig.repository('group/leaf.git');
    const leafCommit = leaf.commit({ leaf: 'old' });
    leaf.commit({ leaf: 'new' }, { parent: leafCommit });
    const branch = rig.repository('group/branch.git');
    const branchCommit = branch.commit({
      branch: '1',
      '.gitmodules': '[submodule "leaf"]\n path = deep/leaf\n url = ../leaf.git\n',
      'deep/leaf': { mode: '160000', content: leafCommit },
    });
    const modules = [
      ...['[submodule "relative"]', ' path = libs/branch', ' url = ../group/branch.git'],
      ...['[submodule "absolute"]', ' path = leaf', ` url = ${rig.server.url('group/leaf.git')}`, ' branch = other'],
    ];
    const root = rig.repository('root.git');
    const commit = root.commit({
      '.gitmodules': `${modules.join('\n')}\n`,
      main: 'm',
      leaf: { mode: '160000', content: leafCommit },
      'libs/branch': { mode: '160000', content: branchCommit },
    });
    const url = rig.server.url('root.git');
    rig.server.behaviour = { login: LOGIN };
    const credential = { kind: 'https', ...LOGIN } as const;
    const { files, result } = await rig.fetch({ url, commit, submodules: true, credential });
    expect(Object.keys(files).toSorted()).toEqual([
      ...[
        '.gitmodules',
        'leaf/leaf',
        'libs/branch/.gitmodules',
        'libs/branch/branch',
        'libs/branch/deep/leaf/leaf',
        'main',
      ],
    ]);
    expect(files['leaf/leaf']).toBe('old');
    expect(result.files).toBe(6);
    const without = await rig.fetch({ url, commit, credential });
    expect(Object.keys(without.files).toSorted()).toEqual(['.gitmodules', 'leaf/', 'libs/branch/', 'main']);
    const below = await rig.fetch({ url, commit, submodules: true, subdirectory: 'libs', credential });
    expect(below.files['libs/branch/deep/leaf/leaf']).toBe('old');
    expect(Object.keys(below.files)).not.toContain('leaf/leaf');
  });

  it.each([
    ['of a private address', 'https://10.0.0.1/x.git'],
    ['of the metadata service', 'https://169.254.169.254/x.git'],
    ['of another port of this server', 'https://127.0.0.1:1/x.git'],
    ['of a file', 'file:///etc'],
    ['of a folder', '/srv/x.git'],
    ['of a command', 'ext::sh -c id'],
    ['above the root', '../../../x.git'],
    ['with a password', 'https://me:hunter2-canary@git.example.test/x.git'],
    ['of nowhere', undefined],
  ])('%s are refused, and nothing is left', async (_, from) => {
    const repository = rig.repository(`bad-${Math.random()}.git`);
    const leaf = rig.repository('good-leaf.git').commit({ x: '1' });
    const commit = repository.commit({
      '.gitmodules': from === undefined ? '' : `[submodule "x"]\n path = x\n url = "${from}"\n`,
      x: { mode: '160000', content: leaf },
    });
    const url = rig.server.url(repository.folder.slice(rig.root.length + 1));
    const before = await rig.leftovers();
    const refusal = await rig.fetch({ url, commit, submodules: true }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'SOURCE_REFUSED' });
    expect(String(refusal)).not.toContain('hunter2');
    expect(await rig.leftovers()).toEqual(before);
  });

  it('of another server are read without the credential of the first', async () => {
    const [folder, root] = ['other', 'other-root'].map((name) => join(rig.folder, name)) as [string, string];
    await Promise.all([mkdir(folder), mkdir(root)]);
    const other = await startGitServer(root, folder);
    try {
      const leaf = createTestRepository(root, 'leaf.git').commit({ leaf: 'x' });
      const repository = rig.repository('elsewhere.git');
      const commit = repository.commit({
        '.gitmodules': `[submodule "leaf"]\n path = leaf\n url = ${other.url('leaf.git')}\n`,
        leaf: { mode: '160000', content: leaf },
      });
      const both = join(folder, 'both.pem');
      await writeFile(both, await Promise.all([rig.server, other].map(({ caFile }) => readFile(caFile, 'utf8'))));
      const allowedHosts = [rig.server.host, other.host];
      const sources = await rig.open({ caFile: both, rules: { allowedHosts } });
      rig.server.behaviour = { login: LOGIN };
      const request = {
        ...aFetch(),
        url: rig.server.url('elsewhere.git'),
        commit,
        into: join(rig.folder, 'elsewhere'),
      };
      const credential = { kind: 'https', ...LOGIN } as const;
      expect(await sources.fetchCommit({ ...request, submodules: true, credential })).toMatchObject({ files: 2 });
      expect(other.requests).not.toEqual([]);
      expect(other.requests.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('that contain themselves stop at the limit', async () => {
    const repository = rig.repository('loop.git');
    const modules = (count: number) =>
      Array.from({ length: count }, (_, i) => `[submodule "m${i}"]\n path = m${i}\n url = ./../loop.git\n`).join('');
    let commit = repository.commit({ '.gitmodules': modules(1), a: '1' });
    for (let depth = 0; depth < 5; depth += 1) {
      commit = repository.commit({ '.gitmodules': modules(1), m0: { mode: '160000', content: commit } });
    }
    const request = { url: rig.server.url('loop.git'), commit, submodules: true };
    const { files } = await rig.fetch(request);
    expect(files['m0/m0/m0/m0/m0/a']).toBe('1');
    const refused = rig.fetch({ ...request, limits: { ...aFetch().limits, submodules: 4 } });
    await expect(refused).rejects.toThrow('more than 4 submodules');
  });
});

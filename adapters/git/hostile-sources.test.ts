import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MadeEntry } from '../../test/support/git-repository.ts';
import { aFetch, type GitRig, startGitRig } from '../../test/support/git-rig.ts';
import { type GitServer, startGitServer } from '../../test/support/git-server.ts';
import { findGitPrograms } from './programs.ts';

/** Takes 20 s to send in parts of 64 KiB with a pause between them; git tells each second how far it is. */
const LARGE_BYTES = 64 * 1024 * 1024;

const REFUSED = { code: 'SOURCE_REFUSED' };

let rig: GitRig;
let count = 0;

beforeAll(async () => {
  rig = await startGitRig();
});

afterEach(async () => {
  rig.server.behaviour = {};
  expect(await readdir(rig.work)).toEqual([]);
});

afterAll(() => rig.stop());

function aRepository() {
  count += 1;
  const name = `r${count}.git`;
  return { ...rig.repository(name), url: rig.server.url(name) };
}

function committed(files: Record<string, MadeEntry | string>) {
  const repository = aRepository();
  return { url: repository.url, commit: repository.commit(files), repository };
}

const link = (content: string): MadeEntry => ({ mode: '120000', content });

describe('a tree that is made to harm', () => {
  it.each<[string, Record<string, MadeEntry | string>]>([
    ['a Dockerfile that links to a file of the machine', { Dockerfile: link('/etc/shadow') }],
    ['a link to the folder above', { up: link('..') }],
    ['a link out of a folder', { 'a/b': link('../../x') }],
    ['a link that climbs behind another', { d: link('e'), 'e/f': 'x', g: link('d/../../x') }],
    ['a link without a target', { empty: link('') }],
    ['a link without end', { long: link('x'.repeat(20_000)) }],
    ['a configuration of git', { '.git/config': '[core]\n fsmonitor = touch pwned\n sshCommand = touch pwned\n' }],
    ['a hook of git', { 'a/.git/hooks/post-checkout': { mode: '100755', content: '#!/bin/sh\ntouch pwned\n' } }],
    ['a folder that Windows takes for .git', { 'git~1/config': 'x' }],
    ['a folder that is .git in capitals', { '.GIT/config': 'x' }],
    ['a name of two dots', { '..': 'x' }],
    [
      'a submodule with a command',
      { '.gitmodules': '[submodule "a"]\n path = a\n url = ./a\n update = !touch pwned\n' },
    ],
    ['a submodule whose URL is an option', { '.gitmodules': '[submodule "a"]\n path = a\n url = -u./pwned\n' }],
    [
      'a submodule whose name climbs',
      { '.gitmodules': '[submodule "../../x"]\n path = a\n url = https://a.example/b\n' },
    ],
    ['.gitmodules that is a link', { '.gitmodules': link('x'), x: '' }],
    ['a path without end', { [`${`${'a'.repeat(250)}/`.repeat(20)}b`]: 'x' }],
    ['a name without end', { ['a'.repeat(300)]: 'x' }],
  ])('is refused for %s', async (_, files) => {
    const { url, commit } = committed({ Dockerfile: 'FROM scratch', ...files });
    const before = await rig.leftovers();
    await expect(rig.fetch({ url, commit, submodules: true })).rejects.toMatchObject(REFUSED);
    expect(await rig.leftovers()).toEqual(before);
  });

  it('is refused for a name that is no UTF-8', async () => {
    const repository = aRepository();
    const blob = repository.git(['hash-object', '-w', '--stdin'], 'x');
    const record = Buffer.concat([
      Buffer.from(`100644 blob ${blob}\t`),
      Buffer.from([0xe4, 0x2e, 0x74, 0x78, 0x74, 0]),
    ]);
    const commit = repository.commitTree(repository.git(['mktree', '-z'], record));
    await expect(rig.fetch({ url: repository.url, commit })).rejects.toThrow('"ä.txt" has a name that is not UTF-8');
  });

  it('is refused for a link that leaves the subdirectory, though not the repository', async () => {
    const { url, commit } = committed({ shared: 'x', 'apps/web/shared': link('../../shared') });
    await expect(rig.fetch({ url, commit, subdirectory: 'apps' })).rejects.toMatchObject(REFUSED);
    expect((await rig.fetch({ url, commit })).files['apps/web/shared']).toBe('-> ../../shared');
  });

  it('cannot lead a file through a link, since links are made last', async () => {
    const { url, commit } = committed({ a: link('b'), 'b/c': 'x', z: link('a/c') });
    expect((await rig.fetch({ url, commit })).files).toEqual({ a: '-> b', 'b/c': 'x', z: '-> a/c' });
  });

  it('may hold strange names that hurt nobody', async () => {
    const files = { '-rf': 'a', '$(id)': 'b', 'a\nb': 'c', 'x;y|z': 'd', 'con.git': 'e', '%2e%2e': 'f', '--': 'g' };
    const { url, commit } = committed(files);
    expect((await rig.fetch({ url, commit })).files).toEqual(files);
  });
});

describe('a source that is too large', () => {
  it.each<[string, Partial<ReturnType<typeof aFetch>['limits']>, string]>([
    ['many files', { entries: 9 }, 'more than 9 files and folders'],
    ['many bytes', { bytes: 10_000 }, 'MiB of files'],
    ['much to download', { downloadBytes: 100_000 }, 'MiB to download'],
  ])('is refused for %s', async (_, limits, message) => {
    const files = Object.fromEntries(
      Array.from({ length: 5 }, (__, i) => [`d${i}/f`, { content: randomBytes(100_000) }]),
    );
    const { url, commit } = committed(files);
    const refused = rig.fetch({ url, commit, limits: { ...aFetch().limits, ...limits } });
    await expect(refused).rejects.toMatchObject({ ...REFUSED, message: expect.stringContaining(message) });
  });

  it('is cut off while it is received, with prlimit and without', async () => {
    const { url, commit } = committed({ large: { content: randomBytes(LARGE_BYTES) } });
    const limits = { ...aFetch().limits, downloadBytes: 1024 * 1024 };
    const onlyGit = join(rig.folder, 'only-git');
    mkdirSync(onlyGit);
    const { git, prlimit } = await findGitPrograms(process.env.PATH ?? '');
    symlinkSync(git, join(onlyGit, 'git'));
    expect(prlimit).toBeDefined();
    rig.server.behaviour = { pauseMs: 20 };
    for (const sources of [rig.sources, await rig.open({ searchPath: onlyGit })]) {
      rig.server.sentBytes = 0;
      const request = { ...aFetch(), url, commit, limits, into: join(rig.folder, 'too-large') };
      await expect(sources.fetchCommit(request)).rejects.toThrow('more than 1 MiB to download');
      expect(rig.server.sentBytes).toBeLessThan(LARGE_BYTES);
    }
  });

  it('is refused for a tree that repeats itself ten thousand million times', async () => {
    const repository = aRepository();
    let tree = repository.tree({ f: 'x' });
    for (let depth = 0; depth < 10; depth += 1) {
      const entries = Array.from({ length: 10 }, (_, i): [string, MadeEntry] => [
        `d${i}`,
        { mode: '040000', content: tree },
      ]);
      tree = repository.tree(Object.fromEntries(entries));
    }
    const commit = repository.commitTree(tree);
    await expect(rig.fetch({ url: repository.url, commit })).rejects.toThrow('more than 100000 files and folders');
  });

  it('is refused for one file that is written a thousand times', async () => {
    const repository = aRepository();
    const blob = { content: Buffer.alloc(1024 * 1024) };
    const commit = repository.commit(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, blob])));
    const limits = { ...aFetch().limits, bytes: 10 * 1024 * 1024 };
    await expect(rig.fetch({ url: repository.url, commit, limits })).rejects.toThrow('more than 10 MiB of files');
  });
});

describe('a repository on the server', () => {
  it('that has hooks and commands in its own configuration runs none of them', async () => {
    const { url, commit, repository } = committed({ a: '1' });
    const marker = join(rig.folder, 'pwned');
    const script = join(rig.folder, 'evil');
    writeFileSync(script, `#!/bin/sh\ntouch ${marker}\n`);
    chmodSync(script, 0o755);
    for (const hook of ['post-checkout', 'reference-transaction', 'post-merge', 'pre-auto-gc']) {
      mkdirSync(join(repository.folder, 'hooks'), { recursive: true });
      symlinkSync(script, join(repository.folder, 'hooks', hook));
    }
    for (const name of [
      'core.fsmonitor',
      'core.sshCommand',
      'core.askPass',
      'credential.helper',
      'core.alternateRefsCommand',
    ]) {
      repository.git(['config', name, script]);
    }
    expect((await rig.fetch({ url, commit })).files).toEqual({ a: '1' });
    expect(existsSync(marker)).toBe(false);
  });
});

describe('a server', () => {
  it('that serves another commit than the one that was asked for is refused', async () => {
    const repository = aRepository();
    const wanted = repository.commit({ a: 'wanted' });
    const other = repository.commit({ a: 'other' }, { ref: 'refs/heads/other' });
    rig.server.behaviour = {
      rewrite: (body) => Buffer.from(body.toString('latin1').replaceAll(wanted, other), 'latin1'),
    };
    await expect(rig.fetch({ url: repository.url, commit: wanted })).rejects.toMatchObject(REFUSED);
  });

  it.each([301, 302, 307, 308])('that redirects (%i) is refused, and nobody asks where it leads', async (status) => {
    const folder = join(rig.folder, `other-${status}`);
    await mkdir(folder);
    const other: GitServer = await startGitServer(rig.root, folder);
    const { url, commit } = committed({ a: '1' });
    const location = url.replace(rig.server.host, other.host);
    rig.server.behaviour = {
      intercept: (request, response) => {
        response.writeHead(status, { location: `${location}${String(request.url).replace(/^\/[^/]*/, '')}` }).end();
        return true;
      },
    };
    const sources = await rig.open({ rules: { allowedHosts: [rig.server.host, other.host] } });
    const request = { ...aFetch(), url, commit, into: join(rig.folder, 'redirected') };
    const credential = { kind: 'https', username: 'me', password: 'hunter2-canary' } as const;
    try {
      await expect(sources.fetchCommit({ ...request, credential })).rejects.toMatchObject({
        ...REFUSED,
        message: expect.stringContaining('redirects to another address'),
      });
      expect(other.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it.each<[string, number, object]>([
    ['is overloaded', 503, { code: 'SOURCE_UNAVAILABLE' }],
    ['has had enough', 429, { code: 'SOURCE_UNAVAILABLE' }],
    ['forbids it', 403, REFUSED],
    ['has nothing there', 404, REFUSED],
  ])('that %s (%i) is so in words that a terminal can show', async (_, status, refusal) => {
    const { url, commit } = committed({ a: '1' });
    rig.server.behaviour = {
      intercept: (__, response) => {
        response.writeHead(status, { 'content-type': 'text/plain' }).end('\x1b]0;title\x07 \u202e no\r\n');
        return true;
      },
    };
    const error = await rig.fetch({ url, commit }).catch((reason: unknown) => reason);
    expect(error).toMatchObject(refusal);
    expect(String(error)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it.each(['text/html', 'text/plain', 'application/x-git-upload-pack-advertisement'])(
    'that speaks no Git of today but %s is refused, or tried again',
    async (type) => {
      const { url, commit } = committed({ a: '1' });
      rig.server.behaviour = {
        intercept: (_, response) => {
          response.writeHead(200, { 'content-type': type }).end(`${commit}\trefs/heads/main\n`);
          return true;
        },
      };
      const refusal = { code: expect.stringMatching(/^SOURCE_/) };
      await expect(rig.fetch({ url, commit })).rejects.toMatchObject(refusal);
      rig.server.behaviour = { ...rig.server.behaviour, isOld: true };
      await expect(rig.fetch({ url, commit })).rejects.toMatchObject(refusal);
    },
  );

  it('that serves nothing but files is refused, since the protocol for that has no bounds', async () => {
    const { url, commit, repository } = committed({ a: '1' });
    repository.git(['update-server-info']);
    const intercept = (request: IncomingMessage, response: ServerResponse): boolean => {
      const file = join(rig.root, new URL(String(request.url), url).pathname);
      response.setHeader('content-type', 'text/plain');
      response.writeHead(existsSync(file) ? 200 : 404).end(existsSync(file) ? readFileSync(file) : '');
      return true;
    };
    for (const isOld of [false, true]) {
      rig.server.behaviour = { intercept, isOld };
      await expect(rig.fetch({ url, commit })).rejects.toMatchObject({
        ...REFUSED,
        message: expect.stringContaining('does not speak the smart HTTP protocol'),
      });
    }
  });

  it('that breaks off in the middle can be tried again', async () => {
    const { url, commit } = committed({ large: { content: randomBytes(4 * 1024 * 1024) } });
    rig.server.behaviour = {
      intercept: (request, response) => {
        if (request.method !== 'POST') return false;
        const write = response.write.bind(response);
        let bytes = 0;
        response.write = ((chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > 1024 * 1024) response.destroy();
          return write(chunk);
        }) as typeof response.write;
        return false;
      },
    };
    await expect(rig.fetch({ url, commit })).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    rig.server.behaviour = {};
    expect((await rig.fetch({ url, commit })).result.files).toBe(1);
  });

  it('that is not there can be tried again; one that nobody vouches for cannot', async () => {
    const { url, commit } = committed({ a: '1' });
    const away = url.replace(rig.server.host, 'git.example.test:1');
    const sources = await rig.open({
      rules: { allowedHosts: [rig.server.host, 'git.example.test:1', 'gone.internal'] },
    });
    const into = join(rig.folder, 'away');
    const fetch = (from: string, by = sources) => by.fetchCommit({ ...aFetch(), url: from, commit, into });
    await expect(fetch(away)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    await expect(fetch('https://gone.internal/x.git')).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    const untrusting = await rig.open({ caFile: '/etc/ssl/certs/ca-certificates.crt' });
    await expect(fetch(url, untrusting)).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining('certificate of the server is not trusted'),
    });
  });
});

describe('a name', () => {
  const into = () => join(rig.folder, 'never');

  it.each([
    ['loopback', ['127.0.0.1']],
    ['loopback by IPv6', ['::1']],
    ['a private network', ['10.1.2.3']],
    ['the metadata service', ['169.254.169.254']],
    ['an IPv4 address in IPv6', ['::ffff:127.0.0.1']],
    ['the internet and a private network', ['8.8.8.8', '192.168.0.1']],
  ])('that leads to %s is refused before anybody connects', async (_, addresses) => {
    const sources = await rig.open({ lookup: async () => addresses });
    const asked = rig.server.requests.length;
    const request = {
      url: `https://rebind.example.com:${rig.server.port}/r1.git`,
      credential: { kind: 'none' },
    } as const;
    const { signal, ...rest } = aFetch();
    await expect(sources.resolveRef({ ...request, ref: 'main', signal })).rejects.toMatchObject(REFUSED);
    const fetch = { ...rest, ...request, signal, commit: 'f'.repeat(40), into: into() };
    await expect(sources.fetchCommit(fetch)).rejects.toMatchObject(REFUSED);
    expect(rig.server.requests).toHaveLength(asked);
  });

  it('is asked for once: git gets the address that was checked, and no other resolver', async () => {
    const { url, commit } = committed({ a: '1' });
    const asked: string[] = [];
    const lookup = async (host: string) => {
      asked.push(host);
      return asked.length === 1 ? ['127.0.0.1'] : ['192.0.2.1'];
    };
    const sources = await rig.open({ lookup });
    const fetched = await sources.fetchCommit({ ...aFetch(), url, commit, into: join(rig.folder, 'pinned') });
    expect(fetched.files).toBe(1);
    expect(asked).toEqual(['git.example.test']);
  });

  it('that does not resolve can be tried again', async () => {
    const sources = await rig.open({ lookup: () => Promise.reject(new Error('ENOTFOUND')) });
    const request = { ...aFetch(), url: 'https://gone.example.com/a', commit: 'f'.repeat(40), into: into() };
    await expect(sources.fetchCommit(request)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });
});

describe('the target of a fetch', () => {
  it('that is there already is left alone', async () => {
    const { url, commit } = committed({ a: '1' });
    const taken = join(rig.folder, 'taken');
    mkdirSync(taken);
    writeFileSync(join(taken, 'mine'), 'x');
    await expect(rig.fetch({ url, commit, into: taken })).rejects.toThrow('EEXIST');
    expect(await readFile(join(taken, 'mine'), 'utf8')).toBe('x');
  });
});

import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { extract, type Header, pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStandIn, type TestNixpacks, writeProgram } from '../../test/support/nixpacks.ts';
import { type FoundNixpacks, findNixpacks } from './find-nixpacks.ts';
import { type Nixpacks, openNixpacks } from './open-nixpacks.ts';

const SETTINGS = {
  'nixpacks.toml': 'providers = []\nbuildImage = "base"\n[phases.build]\ncmds = ["true"]\n[start]\ncmd = "x"\n',
};

let program: TestNixpacks;
let nixpacks: Nixpacks;
/** What only this user may read. */
let secrets: string;
/** What others have in the folder for temporary files. */
let before: readonly string[];

const listOwn = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('obiente-nixpacks-'));

beforeAll(async () => {
  before = await listOwn();
  program = await openStandIn();
  nixpacks = await openNixpacks(await find(program.path));
  secrets = await mkdtemp(join(tmpdir(), 'obiente-test-secrets-'));
  await writeFile(join(secrets, 'key'), 'the key of this node', { mode: 0o600 });
});

afterAll(async () => {
  await program.remove();
  await rm(secrets, { recursive: true });
  expect((await listOwn()).filter((name) => !before.includes(name))).toEqual([]);
});

async function find(path: string): Promise<FoundNixpacks> {
  const found = await findNixpacks({ path, searchPath: process.env.PATH ?? '' });
  if (found === null || typeof found === 'string') throw new Error(`no nixpacks: ${found}`);
  return found;
}

type Entry = Partial<Header> & { readonly name: string; readonly content?: string };

async function aTar(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content = '', ...header } of entries) archive.entry(header as Header, content);
  archive.finalize();
  return await buffer(archive);
}

interface Planned {
  readonly files: Readonly<Record<string, string>>;
  readonly args: Readonly<Record<string, string>>;
  readonly found: string;
  readonly printed: readonly string[];
}

async function plan(
  source: Readonly<Record<string, string>> | Buffer,
  { variables = {}, signal = new AbortController().signal, by = nixpacks } = {},
): Promise<Planned> {
  const entries = Object.entries(source).map(([name, content]) => ({ name, content }));
  const tar = Buffer.isBuffer(source) ? source : await aTar(entries);
  const printed: string[] = [];
  const request = { source: Readable.from([tar]), variables, signal, print: (line: string) => void printed.push(line) };
  return await by.withPlan(request, async ({ context, args, found }) => {
    const files: Record<string, string> = {};
    const reader = extract();
    context.pipe(reader);
    for await (const entry of reader) files[entry.header.name] = await text(entry as unknown as Readable);
    return { files, args, found, printed };
  });
}

const takenOver = (script: string) => plan({ ...SETTINGS, 'taken-over.sh': script });

describe('a plan of nixpacks', () => {
  it('is the source with what it has written beside it, and values for all of its variables', async () => {
    const ignored = { '.dockerignore': 'c.txt\n.nix*\n', 'c.txt': 'c', '.nixpacks/Dockerfile': 'FROM evil' };
    const source = { ...SETTINGS, 'a/b.txt': 'b', ...ignored };
    const { files, args, found } = await plan(source, { variables: { GREETING: 'a b' } });
    expect(Object.keys(files)).toEqual(['a', 'a/b.txt', 'nixpacks.toml', '.nixpacks/Dockerfile']);
    expect(files['.nixpacks/Dockerfile']).toMatch(/^FROM base\n/);
    expect(args).toEqual({ CI: 'true', GREETING: 'a b' });
    expect(found).toBe('an application with settings for nixpacks (nixpacks.toml at its root)');
  });

  it('has every file of the source, with what may be run still so, and links', async () => {
    const tar = await aTar([
      ...Object.entries(SETTINGS).map(([name, content]) => ({ name, content })),
      { name: './bin/run', content: 'x', mode: 0o755 },
      { name: 'link', type: 'symlink', linkname: 'bin/run' },
      { name: 'hard', type: 'link', linkname: 'bin/run' },
    ]);
    const { files } = await plan(tar);
    expect(Object.keys(files)).toEqual(['bin', 'bin/run', 'hard', 'link', 'nixpacks.toml', '.nixpacks/Dockerfile']);
  });

  it.each<[string, readonly Entry[], string]>([
    [
      'a link that leaves it',
      [{ name: 'a', type: 'symlink', linkname: '../../etc/passwd' }],
      'links within the context',
    ],
    ['a hard link that leaves it', [{ name: 'a', type: 'link', linkname: '../x' }], 'links within the context'],
    ['a file below a link', [{ name: 'a', type: 'symlink', linkname: 'b' }, { name: 'a/x' }], 'lies below a link'],
    ['a hard link to nothing', [{ name: 'a', type: 'link', linkname: 'b' }], 'cannot be made'],
    ['a file twice', [{ name: 'a' }, { name: 'a' }], 'is there twice'],
    ['a path that leaves it', [{ name: '../a' }], 'leaves the root'],
    ['a device', [{ name: 'a', type: 'character-device' }], 'allowed are files'],
  ])('is refused for %s', async (_, entries, message) => {
    const refusal = expect.objectContaining({ code: 'SOURCE_REFUSED', message: expect.stringContaining(message) });
    await expect(plan(await aTar(entries))).rejects.toEqual(refusal);
  });

  it.each<[string, string, string]>([
    ['an asset that leaves the folder', '{"staticAssets":{"../../../etc/cron.d/x":"* * * * *"}}', 'static asset'],
    ['an asset by an absolute path', '{"staticAssets":{"/etc/x":""}}', 'static asset'],
    ['an archive that leaves it', '{"phases":{"setup":{"nixpkgsArchive":"a/../../x"}}}', 'archive of packages'],
    ['a variable that is none', '{"variables":{"A B":"x"}}', 'names a variable'],
  ])('is refused for %s, before anything is written', async (_, json, message) => {
    const refusal = expect.objectContaining({ code: 'SOURCE_REFUSED', message: expect.stringContaining(message) });
    await expect(plan({ ...SETTINGS, 'plan.json': json })).rejects.toEqual(refusal);
  });

  it('is refused for settings elsewhere, an archive that is compressed, and an answer that is no plan', async () => {
    await expect(plan(SETTINGS, { variables: { NIXPACKS_CONFIG_FILE: '/etc/shadow' } })).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
    });
    await expect(plan(gzipSync(await aTar([{ name: 'a' }])))).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
    await expect(plan({ ...SETTINGS, 'plan.json': 'none' })).rejects.toMatchObject({ code: 'BUILD_FAILED' });
  });

  it('fails with what it says when it knows nothing of the source', async () => {
    const printed: string[] = [];
    const request = {
      variables: {},
      signal: new AbortController().signal,
      print: (line: string) => void printed.push(line),
    };
    const source = Readable.from([await aTar([{ name: 'README.md' }])]);
    await expect(nixpacks.withPlan({ ...request, source }, async () => {})).rejects.toMatchObject({
      code: 'BUILD_FAILED',
    });
    expect(printed).toContain('unable to generate a build plan');
  });
});

describe('nixpacks that a source has got hold of', () => {
  it('has nothing of the environment of this process, and no rights', async () => {
    process.env.OBIENTE_TEST_SECRET = 'of this process';
    const { printed } = await takenOver('env >&2; grep -E "^(Cap|NoNewPrivs|Uid)" /proc/self/status >&2 || true');
    delete process.env.OBIENTE_TEST_SECRET;
    const all = printed.join('\n');
    expect(all).not.toContain('OBIENTE_TEST_SECRET');
    expect(all).toContain('PATH=/usr/bin:/bin');
    if (all.includes('CapEff')) expect(all).toMatch(/CapEff:\t0{16}\n[\s\S]*NoNewPrivs:\t1/);
  });

  it('reads nothing that only this user may, and changes nothing of the source or elsewhere', async () => {
    const { printed, files } = await takenOver(
      `cat ${secrets}/key >&2 || echo no key >&2; echo x > "$source/new" || echo no new file >&2;` +
        `echo x >> "$source/nixpacks.toml" || echo no change >&2; mv "$source" "$source.away" || echo no move >&2`,
    );
    expect(printed.join('\n')).not.toContain('the key of this node');
    expect(printed).toEqual(expect.arrayContaining(['no key', 'no new file', 'no change', 'no move']));
    expect(files['nixpacks.toml']).toBe(SETTINGS['nixpacks.toml']);
  });

  it('reaches no network, where the machine has namespaces', async () => {
    const server = createServer((socket) => socket.end('reached\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { printed } = await takenOver(`/bin/bash -c 'cat </dev/tcp/127.0.0.1/${port}' >&2 || echo no network >&2`);
    server.close();
    expect(printed).toContain('no network');
  });

  it.each<[string, string]>([
    ['a link', 'mkdir -p "$out/.nixpacks"; ln -s /etc/passwd "$out/.nixpacks/x"'],
    ['a pipe', 'mkdir -p "$out/.nixpacks"; mkfifo "$out/.nixpacks/x"'],
    ['a large file', 'mkdir -p "$out/.nixpacks"; head -c 5000000 /dev/zero > "$out/.nixpacks/x"'],
  ])('leaves nothing in the context by writing %s', async (_, script) => {
    await expect(takenOver(`[ $what = plan ] || { ${script}; }`)).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
  });

  it('leaves nothing by a link in place of its folder', async () => {
    const script = '[ $what = plan ] || { ln -s /etc "$out/.nixpacks"; exit 0; }';
    await expect(takenOver(script)).rejects.toMatchObject({ code: 'BUILD_FAILED' });
  });

  it('is stopped when it prints without end, writes without end, and when the build is cancelled', async () => {
    await expect(takenOver('cat /dev/zero')).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
    await expect(takenOver('[ $what = plan ] || cat /dev/zero > "$out/x"')).rejects.toMatchObject({
      code: 'BUILD_FAILED',
    });
    const cancel = new AbortController();
    const reason = new Error('cancelled');
    setTimeout(() => cancel.abort(reason), 300);
    const source = { ...SETTINGS, 'taken-over.sh': 'sleep 600 & sleep 600' };
    await expect(plan(source, { signal: cancel.signal })).rejects.toBe(reason);
  });
});

describe('looking nixpacks up', () => {
  it('tells one that is absent from one that cannot be used', async () => {
    expect(await findNixpacks({ path: undefined, searchPath: secrets })).toBeNull();
    const path = join(secrets, 'nixpacks');
    expect(await findNixpacks({ path, searchPath: process.env.PATH ?? '' })).toContain(`${path} is not used`);
    expect(await findNixpacks({ path, searchPath: secrets })).toContain('neither as another user nor in namespaces');
    const other = await writeProgram('#!/bin/sh\necho something else\n');
    expect(await findNixpacks({ path: other.path, searchPath: process.env.PATH ?? '' })).toContain('for its version');
    await other.remove();
  });

  it('removes what a process that was killed has left, and nothing that is new', async () => {
    const [old, fresh] = await Promise.all(['a', 'b'].map(() => mkdtemp(join(tmpdir(), 'obiente-nixpacks-'))));
    await utimes(old ?? '', 0, 0);
    await openNixpacks(await find(program.path));
    await expect(stat(old ?? '')).rejects.toThrow('ENOENT');
    expect((await stat(fresh ?? '')).isDirectory()).toBe(true);
    await rm(fresh ?? '', { recursive: true });
  });
});

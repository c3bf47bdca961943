import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ContextStore, openContextStore } from './context-store.ts';

const LIMITS = { unpackedBytes: 1024 * 1024, entries: 20 };

type Entry = Partial<Header> & { name: string; data?: string | Buffer };

async function aTar(...entries: Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { data, ...header } of entries) tar.entry(header as Header, data ?? '');
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function* inParts(bytes: Buffer, size = 1000): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

let folder: string;
let store: ContextStore;

async function files(): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((name) => name !== 'incoming');
}

describe('the context store', () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'obiente-contexts-'));
    store = await openContextStore({ folder, limits: LIMITS });
  });
  afterEach(() => rm(folder, { recursive: true }));

  it.each([
    ['plain', (tar: Buffer) => tar],
    ['packed', (tar: Buffer) => gzipSync(tar)],
    ['packed with bytes after its end', (tar: Buffer) => Buffer.concat([gzipSync(tar), Buffer.alloc(200_000)])],
  ])('keeps a %s archive under the hash of its bytes', async (_, packed) => {
    const entries = [
      { name: 'Dockerfile', data: 'FROM scratch' },
      { name: 'bin/', type: 'directory' as const },
    ];
    const bytes = packed(await aTar(...entries, { name: 'bin/app', data: randomBytes(50_000) }));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(await store.store(inParts(bytes))).toEqual({ sha256, sizeBytes: bytes.length, entries: 3 });
    expect(await store.store(inParts(bytes, 7))).toMatchObject({ sha256 });
    expect(await files()).toEqual([sha256]);
    const read: Uint8Array[] = [];
    for await (const chunk of store.read(sha256)) read.push(chunk);
    expect(Buffer.concat(read).equals(bytes)).toBe(true);
  });

  it('takes links that stay within the root', async () => {
    const links = [
      { name: 'a/b/c', type: 'symlink', linkname: '../../x' },
      { name: 'y', type: 'symlink', linkname: 'a/b' },
      { name: 'z', type: 'link', linkname: 'a/b/f' },
    ] as const;
    const tar = await aTar({ name: './', type: 'directory' }, { name: './a/b/f', data: 'x' }, ...links);
    expect(await store.store(inParts(tar))).toMatchObject({ entries: 5 });
  });

  it.each<[string, Entry[]]>([
    ['../x', [{ name: '../x', data: 'x' }]],
    ['a/../../x', [{ name: 'a/../../x', data: 'x' }]],
    ['/etc/passwd', [{ name: '/etc/passwd', data: 'x' }]],
    ['null', [{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }]],
    ['sda', [{ name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }]],
    ['pipe', [{ name: 'pipe', type: 'fifo' }]],
    ['up', [{ name: 'up', type: 'symlink', linkname: '..' }]],
    ['abs', [{ name: 'abs', type: 'symlink', linkname: '/etc' }]],
    ['d/up', [{ name: 'd/up', type: 'symlink', linkname: '../../x' }]],
    ['m', [{ name: 'm', type: 'symlink', linkname: 'l/../../x' }]],
    ['hard', [{ name: 'hard', type: 'link', linkname: '../x' }]],
    [
      'l/x',
      [
        { name: 'l', type: 'symlink', linkname: 'd' },
        { name: 'l/x', data: 'x' },
      ],
    ],
  ])('refuses entry %s and keeps nothing', async (name, entries) => {
    const tar = await aTar({ name: 'Dockerfile', data: 'FROM scratch' }, ...entries);
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining(JSON.stringify(name)) };
    await expect(store.store(inParts(tar))).rejects.toMatchObject(refused);
    expect(await files()).toEqual([]);
  });

  it.each<[string, () => Buffer | Promise<Buffer>]>([
    ['nothing', () => Buffer.alloc(0)],
    ['an archive without entries', () => aTar()],
    ['noise', () => randomBytes(4096)],
    ['noise that begins like gzip', () => Buffer.concat([Buffer.from([0x1f, 0x8b]), randomBytes(4096)])],
    ['an archive cut in the middle', async () => (await aTar({ name: 'a', data: 'x'.repeat(5000) })).subarray(0, 3000)],
    [
      'a gzip stream cut in the middle',
      async () => gzipSync(await aTar({ name: 'a', data: randomBytes(9000) })).subarray(0, 4000),
    ],
    ['too many entries', () => aTar(...Array.from({ length: 21 }, (_, i) => ({ name: `f${i}`, data: '' })))],
    ['too many bytes', () => aTar({ name: 'a', data: Buffer.alloc(LIMITS.unpackedBytes) })],
    ['a gzip bomb', async () => gzipSync(await aTar({ name: 'a', data: Buffer.alloc(64 * 1024 * 1024) }))],
    [
      'a header that claims gigabytes',
      async () => (await aTar({ name: 'a', data: 'x' })).fill('77777777777', 124, 135),
    ],
  ])('refuses %s and keeps nothing', async (_, make) => {
    await expect(store.store(inParts(await make(), 64 * 1024))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await files()).toEqual([]);
  });

  it('keeps nothing of an upload that breaks off, and tells why it did', async () => {
    const tar = await aTar({ name: 'a', data: randomBytes(5000) });
    async function* broken() {
      yield tar.subarray(0, 2000);
      throw new Error('the client left');
    }
    await expect(store.store(broken())).rejects.toThrow('the client left');
    expect(await files()).toEqual([]);
  });

  it.each(['0'.repeat(64), '../../etc/passwd', ''])('finds no context %j', async (sha256) => {
    await expect(store.read(sha256)[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createArrivingFiles, type Room } from './arriving-files.ts';

const ROOM: Room = { minFreePercent: 0, freePercent: () => undefined };
const HOUR_MS = 3_600_000;
const quietly = { group: 'none-', onBytes: () => undefined };

let parent: string;
let folder: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'obiente-arriving-'));
  folder = join(parent, 'images');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function* breakingOff(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
  throw new Error('the connection broke');
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('a file that arrives', () => {
  it('keeps what has come over a break and over its process, and tells how much that is', async () => {
    const seen: number[] = [];
    const options = { group: 'a-', onBytes: (bytes: number) => seen.push(bytes) };
    await expect(createArrivingFiles(folder, ROOM).append('a-0', breakingOff('first '), options)).rejects.toThrow(
      'broke',
    );
    const next = createArrivingFiles(folder, ROOM);
    expect(await next.look('a-0')).toEqual({ bytes: 6, sha256: sha256('first ') });
    await next.append('a-0', chunks('sec', 'ond'), options);
    expect(seen).toEqual([6, 9, 12]);
    expect(String(await buffer(next.read('a-0')))).toBe('first second');
    expect((await stat(join(folder, 'a-0'))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    await next.remove('a-0');
    expect(await next.look('a-0')).toEqual({ bytes: 0, sha256: '' });
  });

  it('takes the place of others of its group', async () => {
    const files = createArrivingFiles(folder, ROOM);
    for (const name of ['a-0', 'b-0', 'a-3'])
      await files.append(name, chunks('x'), { ...quietly, group: `${name[0]}-` });
    expect((await readdir(folder)).sort()).toEqual(['a-3', 'b-0']);
  });

  it('goes when it is a day old, and when there are more than eight', async () => {
    const files = createArrivingFiles(folder, ROOM);
    for (let at = 0; at < 11; at += 1) {
      await files.append(`f${at}`, chunks('x'), quietly);
      const changed = new Date(Date.now() - at * 4 * HOUR_MS);
      await utimes(join(folder, `f${at}`), changed, changed);
    }
    await files.tidy();
    expect((await readdir(folder)).sort()).toEqual(['f0', 'f1', 'f2', 'f3', 'f4', 'f5']);
    for (let at = 0; at < 9; at += 1) await files.append(`g${at}`, chunks('x'), quietly);
    await files.tidy();
    expect(await readdir(folder)).toHaveLength(8);
  });

  it('stays while it is written, however old it is', async () => {
    const files = createArrivingFiles(folder, ROOM, () => Date.now() + 48 * HOUR_MS);
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      await files.tidy();
      yield Buffer.from('y');
    }
    await files.append('a-0', slow(), quietly);
    expect(await files.look('a-0')).toEqual({ bytes: 2, sha256: sha256('xy') });
  });

  it.each<[string, Room]>([
    ['the disk that images go to', { minFreePercent: 10, freePercent: () => 9.5 }],
    ['its own disk', { minFreePercent: 100.1, freePercent: () => undefined }],
  ])('is refused, with what has come of it, when %s has to stay free', async (_, room) => {
    const before = createArrivingFiles(folder, ROOM);
    await before.append('a-0', chunks('x'), quietly);
    const refused = createArrivingFiles(folder, room).append('a-0', chunks('y'), quietly);
    await expect(refused).rejects.toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('is stopped while it comes when the disk fills up meanwhile', async () => {
    let freePercent = 50;
    const files = createArrivingFiles(folder, { minFreePercent: 1, freePercent: () => freePercent });
    async function* large(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < 40; at += 1) {
        yield Buffer.alloc(1024 * 1024);
        freePercent = 0;
      }
    }
    const sizes: number[] = [];
    const stopped = files.append('a-0', large(), { group: 'a-', onBytes: (bytes) => sizes.push(bytes) });
    await expect(stopped).rejects.toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });
    expect(sizes.at(-1)).toBe(16 * 1024 * 1024);
    expect(await readdir(folder)).toEqual([]);
  });

  it('need not be there to be tidied or removed', async () => {
    const files = createArrivingFiles(folder, ROOM);
    await files.tidy();
    await files.remove('a-0');
  });
});

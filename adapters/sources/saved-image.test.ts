import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { extract, type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { createSavedLayersCache, withoutLayers } from './saved-image.ts';

type Item = Partial<Header> & { readonly name: string; readonly content?: string | Buffer };

const CONTENTS = [randomBytes(40_000), randomBytes(30_000), randomBytes(20_000)] as const;
const HASHES = CONTENTS.map((content) => createHash('sha256').update(content).digest('hex'));
const FOLDERS = ['1', '2', '3', '4'].map((digit) => digit.repeat(64));
const CONFIG = 'c'.repeat(64);
const IMAGE_ID = `sha256:${CONFIG}`;

/** Layers by the number of their content: the same number again is the same layer again. */
type Layers = readonly (0 | 1 | 2)[];

/** An archive as Docker 20 writes it: folders by another hash, a link for what is there already, the manifest at the end. */
function olderForm(layers: Layers): Item[] {
  const items = layers.map((content, at): Item => {
    const name = `${FOLDERS[at]}/layer.tar`;
    const first = layers.indexOf(content);
    if (first === at) return { name, content: CONTENTS[content] };
    return { name, type: 'symlink', linkname: `../${FOLDERS[first]}/layer.tar` };
  });
  const folders = layers.map((_, at): Item => ({ name: `${FOLDERS[at]}/json`, content: `{"at":${at}}` }));
  const files = layers.map((_, at) => `${FOLDERS[at]}/layer.tar`);
  const manifest = JSON.stringify([{ Config: `${CONFIG}.json`, Layers: files }]);
  return [
    ...folders,
    ...items,
    { name: `${CONFIG}.json`, content: '{}' },
    { name: 'manifest.json', content: manifest },
  ];
}

/** An archive as Docker 25 and later write it. */
function newerForm(layers: Layers): Item[] {
  const blob = (hash: string | undefined) => `blobs/sha256/${hash}`;
  const manifest = [{ Config: blob(CONFIG), Layers: layers.map((content) => blob(HASHES[content])) }];
  return [
    { name: 'blobs/', type: 'directory' },
    ...[...new Set(layers)].map((content): Item => ({ name: blob(HASHES[content]), content: CONTENTS[content] })),
    { name: blob(CONFIG), content: '{}' },
    { name: 'manifest.json', content: JSON.stringify(manifest) },
  ];
}

async function archive(items: readonly Item[], mtime: Date): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...header } of items) tar.entry({ ...header, mtime }, content);
  tar.finalize();
  return await buffer(tar as unknown as AsyncIterable<Buffer>);
}

/** A daemon that saves an image, another time of the day each time. */
function aDaemon(items: readonly Item[]) {
  let saves = 0;
  async function* save(): AsyncGenerator<Uint8Array> {
    saves += 1;
    const whole = await archive(items, new Date(saves * 1_000));
    for (let from = 0; from < whole.length; from += 7_001) yield whole.subarray(from, from + 7_001);
  }
  return { save, saves: () => saves };
}

async function leave(form: (layers: Layers) => Item[], layers: Layers, skip: number) {
  const daemon = aDaemon(form(layers));
  const cache = createSavedLayersCache();
  const wanted = { imageId: IMAGE_ID, skip, layers: layers.map((content) => `sha256:${HASHES[content]}`) };
  const send = () => buffer(withoutLayers(daemon.save, wanted, cache));
  return { bytes: await send(), send, daemon };
}

async function namesIn(bytes: Buffer): Promise<string[]> {
  const tar = extract();
  const names: string[] = [];
  tar.end(bytes);
  for await (const entry of tar) {
    names.push(entry.header.name);
    entry.resume();
  }
  return names;
}

/** Which contents an archive holds. */
const held = (bytes: Buffer): number[] => [0, 1, 2].filter((at) => bytes.includes(CONTENTS[at] as Buffer));

describe.each([
  ['older', olderForm],
  ['newer', newerForm],
] as const)('an image that is saved in the %s form', (_, form) => {
  it.each<[Layers, number, number[]]>([
    [[0, 1, 2], 0, [0, 1, 2]],
    [[0, 1, 2], 1, [1, 2]],
    [[0, 1, 2], 2, [2]],
    [[0, 1, 2], 3, []],
    [[0, 1, 2], 9, []],
    [[0, 1, 0], 2, [0]],
    [[0, 0, 1], 1, [0, 1]],
    [[0, 0, 1], 2, [1]],
    [[0, 1, 0, 2], 3, [2]],
  ])('of the layers %j keeps those above the lowest %i, with what they link to: %j', async (layers, skip, expected) => {
    const { bytes } = await leave(form, layers, skip);
    expect(held(bytes)).toEqual(expected);
    const [names, all] = [await namesIn(bytes), form(layers).map(({ name }) => name)];
    expect(all).toEqual(expect.arrayContaining(names));
    const left = all.filter((name) => !names.includes(name));
    expect(left.every((name) => name.endsWith('layer.tar') || name.startsWith('blobs/sha256/'))).toBe(true);
    expect(names).toContain('manifest.json');
  });

  it('gives the same bytes at another time of the day', async () => {
    for (const skip of [0, 2]) {
      const { bytes, send } = await leave(form, [0, 1, 2], skip);
      expect((await send()).equals(bytes)).toBe(true);
    }
  });

  it('fails as the daemon does that saves it', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield (await archive(form([0, 1, 2]), new Date(0))).subarray(0, 60_000);
      throw new Error('the daemon went away');
    }
    for (const skip of [0, 1]) {
      const wanted = { imageId: IMAGE_ID, skip, layers: HASHES.map((hash) => `sha256:${hash}`) };
      const sent = buffer(withoutLayers(broken, wanted, createSavedLayersCache()));
      await expect(sent).rejects.toThrow('the daemon went away');
    }
  });

  it('is not read on once nobody takes it any more', async () => {
    let isOpen = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      isOpen = true;
      try {
        for (const whole = await archive(form([0, 1, 2]), new Date(0)); ; )
          yield whole.subarray(0, whole.length - 1024);
      } finally {
        isOpen = false;
      }
    }
    const wanted = { imageId: IMAGE_ID, skip: 0, layers: [] };
    for await (const _chunk of withoutLayers(endless, wanted, createSavedLayersCache())) break;
    await expect.poll(() => isOpen).toBe(false);
  });
});

describe('the names of layers', () => {
  it('are read once out of an archive in the older form, and never out of one in the newer', async () => {
    const older = await leave(olderForm, [0, 1], 1);
    expect(older.daemon.saves()).toBe(2);
    await older.send();
    expect(older.daemon.saves()).toBe(3);
    expect((await leave(newerForm, [0, 1], 1)).daemon.saves()).toBe(1);
  });
});

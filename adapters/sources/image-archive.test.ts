import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { extract, type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { toLoadableImage } from './image-archive.ts';

type Item = Partial<Header> & { readonly name: string; readonly content?: string | Buffer };

const LAYER = 'a'.repeat(64);
const CONFIG = JSON.stringify({ rootfs: { type: 'layers', diff_ids: [`sha256:${'b'.repeat(64)}`] } });
const ID = createHash('sha256').update(CONFIG).digest('hex');
const LAYER_CONTENT = randomBytes(200_000);

/** An image as Docker 20 saves it by its id. */
function anImage(
  changes: { manifest?: unknown; more?: readonly Item[]; config?: string; without?: string } = {},
): Item[] {
  const manifest = changes.manifest ?? [{ Config: `${ID}.json`, RepoTags: null, Layers: [`${LAYER}/layer.tar`] }];
  const items: Item[] = [
    { name: `${ID}.json`, content: changes.config ?? CONFIG },
    { name: `${LAYER}/`, type: 'directory' },
    { name: `${LAYER}/VERSION`, content: '1.0' },
    { name: `${LAYER}/json`, content: '{}' },
    { name: `${LAYER}/layer.tar`, content: LAYER_CONTENT },
    { name: 'manifest.json', content: JSON.stringify(manifest) },
  ];
  return [...items.filter(({ name }) => name !== changes.without), ...(changes.more ?? [])];
}

async function archive(items: readonly Item[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...header } of items) tar.entry(header, content);
  tar.finalize();
  return await buffer(tar as unknown as AsyncIterable<Buffer>);
}

async function* inParts(whole: Buffer, size = 7_001): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < whole.length; from += size) yield whole.subarray(from, from + size);
}

async function load(items: readonly Item[], skip = 0): Promise<Map<string, Buffer>> {
  const loadable = toLoadableImage(inParts(await archive(items)), `sha256:${ID}`, skip);
  const tar = extract();
  const found = new Map<string, Buffer>();
  const read = (async () => {
    for await (const entry of tar)
      found.set(entry.header.name, await buffer(entry as unknown as AsyncIterable<Buffer>));
  })();
  for await (const chunk of loadable) tar.write(chunk as Buffer);
  tar.end(null);
  await read;
  return found;
}

describe('an image that another node sent', () => {
  it('is passed on as it is when it is the one that was asked for', async () => {
    const found = await load(anImage());
    expect(found.get(`${ID}.json`)?.toString()).toBe(CONFIG);
    expect(found.get(`${LAYER}/layer.tar`)?.equals(LAYER_CONTENT)).toBe(true);
    expect(found.size).toBe(6);
  });

  it('loses every name that it would get, in whichever form it comes', async () => {
    const names = ['postgres:17', 'nginx:latest'];
    const manifest = [{ Config: `${ID}.json`, RepoTags: names, Layers: [`${LAYER}/layer.tar`] }];
    const index = { manifests: [{ digest: 'x', annotations: { 'io.containerd.image.name': 'postgres:17' } }] };
    const more = [
      { name: 'repositories', content: JSON.stringify({ postgres: { 17: LAYER } }) },
      { name: 'index.json', content: JSON.stringify({ ...index, annotations: { name: 'postgres:17' } }) },
    ];
    const found = await load(anImage({ manifest, more }));
    expect(JSON.parse(found.get('manifest.json')?.toString() ?? '')).toMatchObject([{ RepoTags: null }]);
    expect(found.get('index.json')?.toString()).toBe('{"manifests":[{"digest":"x"}]}');
    expect(found.has('repositories')).toBe(false);
  });

  it('may be in the form of the OCI, and its id that of its configuration or of its manifest', async () => {
    const layer = { name: `blobs/sha256/${LAYER}`, content: LAYER_CONTENT };
    const blob = { name: `blobs/sha256/${ID}`, content: CONFIG };
    const layout = { name: 'oci-layout', content: '{}' };
    const manifestOf = (config: string) => {
      const manifest = [{ Config: `blobs/sha256/${config}`, RepoTags: [], Layers: [`blobs/sha256/${LAYER}`] }];
      return { name: 'manifest.json', content: JSON.stringify(manifest) };
    };
    const index = { name: 'index.json', content: JSON.stringify({ manifests: [{ digest: `sha256:${ID}` }] }) };
    const folders = ['blobs/', 'blobs/sha256/'].map((name): Item => ({ name, type: 'directory' }));
    expect((await load([...folders, blob, layer, layout, manifestOf(ID)])).size).toBe(6);
    expect((await load([...folders, blob, layer, layout, index, manifestOf('c'.repeat(64))])).size).toBe(7);
  });

  it('may lack the layers that are here, and no other', async () => {
    const UPPER = 'f'.repeat(64);
    const Layers = [LAYER, UPPER].map((folder) => `${folder}/layer.tar`);
    const manifest = [{ Config: `${ID}.json`, RepoTags: null, Layers }];
    const upper = { name: `${UPPER}/layer.tar`, content: 'upper' };
    const without = `${LAYER}/layer.tar`;
    expect((await load(anImage({ manifest, without, more: [upper] }), 1)).has(without)).toBe(false);
    await expect(load(anImage({ manifest, without, more: [upper] }))).rejects.toThrow(
      `it lacks the layer "${without}"`,
    );
    await expect(load(anImage({ manifest }), 1)).rejects.toThrow(`it lacks the layer "${upper.name}"`);
  });

  it.each<[string, readonly Item[], RegExp]>([
    ['another configuration', anImage({ config: CONFIG.replace('b', 'c') }), /another hash/],
    ['no configuration', anImage({ without: `${ID}.json` }), /another image/],
    ['no manifest, which older daemons read unchecked', anImage({ without: 'manifest.json' }), /another image/],
    [
      'the right image beside the one that the manifest names',
      anImage({ manifest: [{ Config: `${'d'.repeat(64)}.json`, Layers: [] }] }),
      /another image/,
    ],
    [
      'a second image',
      anImage({ manifest: [1, 2].map(() => ({ Config: `${ID}.json`, Layers: [] })) }),
      /does not hold one image/,
    ],
    ['a second version of an entry', anImage({ more: [{ name: `${ID}.json`, content: '{}' }] }), /twice/],
    ['a path out of the archive', anImage({ more: [{ name: '../etc/passwd', content: 'x' }] }), /it holds "\.\.\/etc/],
    ['an absolute path', anImage({ more: [{ name: '/etc/passwd', content: 'x' }] }), /it holds "\/etc/],
    [
      'a link out of the archive',
      anImage({ more: [{ name: `${'e'.repeat(64)}/layer.tar`, type: 'symlink', linkname: '/etc/shadow' }] }),
      /it holds a symlink/,
    ],
    ['a device', anImage({ more: [{ name: 'blobs', type: 'character-device' }] }), /it holds a character-device/],
    [
      'a manifest without end',
      anImage({ without: 'manifest.json', more: [{ name: 'manifest.json', content: Buffer.alloc(5_000_000, ' ') }] }),
      /too large/,
    ],
    [
      'entries without end',
      anImage({
        more: Array.from({ length: 1_000 }, (_, index) => ({ name: `blobs/sha256/${`${index}`.padStart(64, '0')}` })),
      }),
      /more than 1000 entries/,
    ],
    ['nothing', [], /another image/],
  ])('is refused when it holds %s', async (_, items, message) => {
    await expect(load(items)).rejects.toMatchObject({
      code: 'IMAGE_UNAVAILABLE',
      message: expect.stringMatching(message),
    });
  });

  it('is refused when it is cut short or no archive, and fails with what its sender fails with', async () => {
    const whole = await archive(anImage());
    const read = async (chunks: AsyncIterable<Uint8Array>) => await buffer(toLoadableImage(chunks, `sha256:${ID}`));
    for (const broken of [whole.subarray(0, 100_000), randomBytes(4_096)]) {
      await expect(read(inParts(broken))).rejects.toMatchObject({ code: 'IMAGE_UNAVAILABLE' });
    }
    async function* breaking() {
      yield whole.subarray(0, 5_000);
      throw new Error('the node went away');
    }
    await expect(read(breaking())).rejects.toThrow('the node went away');
  });
});

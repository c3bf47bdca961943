import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract, type Header, type Pack, pack } from 'tar-stream';

/** Which file of an archive holds which layer, the lowest first, and which of them are links to which others. */
export interface SavedLayers {
  readonly files: readonly string[];
  readonly links: ReadonlyMap<string, string>;
}

/** A cache: what was read out of archives whose layers have other names than their hashes. What it lost is read again. */
export interface SavedLayersCache {
  get(imageId: string): SavedLayers | undefined;
  set(imageId: string, layers: SavedLayers): void;
}

/** An image, and how many of its layers are not wanted. */
export interface WantedLayers {
  readonly imageId: string;
  /** Hashes of what its layers hold (`sha256:…`), the lowest first. */
  readonly layers: readonly string[];
  /** Layers from the lowest on whose content is left out. */
  readonly skip: number;
}

/** Some KiB each; a node seldom sends more images than this side by side. */
const MOST_CACHED = 32;

/** Docker before 25 names the folder of a layer by another hash, and says which layer that is at the end of the archive. */
const OLDER_FORM = /^[0-9a-f]{64}(\/|\.json$|$)/;

const BLOBS = 'blobs/sha256/';

type Entry = Extract extends AsyncIterable<infer Item> ? Item : never;

/** Creates the cache; what was read longest ago goes first. */
export function createSavedLayersCache(): SavedLayersCache {
  const known = new Map<string, SavedLayers>();
  return {
    get: (imageId) => known.get(imageId),
    set: (imageId, layers) => {
      known.set(imageId, layers);
      const [oldest] = known.keys();
      if (known.size > MOST_CACHED && oldest !== undefined) known.delete(oldest);
    },
  };
}

/**
 * Turns what `docker save` writes into an archive without the content of some layers. The bytes depend on the image and on
 * `skip` only: Docker puts the time of the day into some headers.
 *
 * A layer that is left out here may be wanted further up as well, by its own name or by a link: then it stays.
 *
 * @param save opens the archive from its beginning; in Docker's older form it is read a second time, unless `cache` knows.
 */
export async function* withoutLayers(
  save: () => AsyncIterable<Uint8Array>,
  wanted: WantedLayers,
  cache: SavedLayersCache,
): AsyncGenerator<Uint8Array> {
  const { imageId, skip } = wanted;
  const known = cache.get(imageId);
  if (skip === 0 || known) return yield* packed(entriesOf(save()), known ? leftOut(known, skip) : new Set());
  const entries = entriesOf(save());
  const first = await entries.next();
  if (first.done) return;
  if (!OLDER_FORM.test(first.value.header.name)) {
    return yield* packed(following(first.value, entries), leftOut(namedByHash(wanted), skip));
  }
  const layers = await readLayers(following(first.value, entries));
  cache.set(imageId, layers);
  yield* packed(entriesOf(save()), leftOut(layers, skip));
}

/** Names of files that only the lowest layers need. */
function leftOut({ files, links }: SavedLayers, skip: number): ReadonlySet<string> {
  const needed = new Set<string>();
  for (const file of files.slice(skip)) {
    for (let name: string | undefined = file; name !== undefined && !needed.has(name); name = links.get(name)) {
      needed.add(name);
    }
  }
  return new Set(files.slice(0, skip).filter((file) => !needed.has(file)));
}

function namedByHash({ layers }: WantedLayers): SavedLayers {
  return { files: layers.map((layer) => `${BLOBS}${layer.replace(/^sha256:/, '')}`), links: new Map() };
}

async function readLayers(entries: AsyncIterable<Entry>): Promise<SavedLayers> {
  const links = new Map<string, string>();
  let files: string[] = [];
  for await (const entry of entries) {
    const { name, type, linkname } = entry.header;
    if (type === 'symlink' && linkname) links.set(name, posix.join(posix.dirname(name), linkname));
    if (name === 'manifest.json') files = layersIn(await textOf(entry));
    else entry.resume();
  }
  return { files, links };
}

function layersIn(manifest: string): string[] {
  const [image] = JSON.parse(manifest) as { readonly Layers?: readonly unknown[] }[];
  return (image?.Layers ?? []).map(String);
}

async function textOf(entry: Entry): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of entry) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

async function* following(first: Entry, rest: AsyncGenerator<Entry>): AsyncGenerator<Entry> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

/** The entries of an archive; fails as its chunks do. */
async function* entriesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Entry> {
  const tar = extract();
  let broken: unknown;
  const fed = pipeline(Readable.from(chunks, { objectMode: false }), tar).catch((error: unknown) => {
    broken = error;
  });
  try {
    yield* tar as unknown as AsyncIterable<Entry>;
  } catch (error) {
    await fed;
    throw broken ?? error;
  } finally {
    tar.destroy();
  }
}

async function* packed(entries: AsyncIterable<Entry>, without: ReadonlySet<string>): AsyncGenerator<Uint8Array> {
  const archive = pack();
  let broken: unknown;
  copy(entries, archive, without).catch((error: unknown) => {
    broken = error;
    archive.destroy(error as Error);
  });
  try {
    yield* archive as unknown as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw broken ?? error;
  } finally {
    archive.destroy();
  }
}

async function copy(entries: AsyncIterable<Entry>, archive: Pack, without: ReadonlySet<string>): Promise<void> {
  for await (const entry of entries) {
    const header = plain(entry.header);
    if (without.has(header.name)) entry.resume();
    else if (header.type === 'file') await pipeline(entry, archive.entry(header));
    else {
      entry.resume();
      archive.entry(header);
    }
  }
  archive.finalize();
}

/** Only what an image needs: no times, no owners. */
function plain({ name, type, size, linkname }: Header): Header {
  const mode = type === 'directory' ? 0o755 : 0o644;
  const link = linkname ? { linkname } : {};
  return { name, type, size, mode, mtime: new Date(0), ...link } as Header;
}

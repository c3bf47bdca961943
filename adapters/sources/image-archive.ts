import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract, type Header, type Pack, pack } from 'tar-stream';
import { DomainError, isDomainError } from '../../domain/errors.ts';

/** What `docker save` writes: layers and configurations by their hash, in the older form and in that of the OCI. */
const DATA = /^([0-9a-f]{64}\.json|[0-9a-f]{64}\/(VERSION|json|layer\.tar)|blobs\/sha256\/[0-9a-f]{64}|oci-layout)$/;
const FOLDER = /^([0-9a-f]{64}|blobs|blobs\/sha256)\/?$/;

/** A layer that is there already, where two are the same. */
const LAYER_LINK = /^\.\.\/[0-9a-f]{64}\/layer\.tar$/;

/** What names images: rewritten, or left out. */
const MANIFEST = 'manifest.json';
const INDEX = 'index.json';
const TAGS = 'repositories';

/** Configurations and manifests are a few KiB; an image has 127 layers at most, with four entries each. */
const LARGEST_JSON = 4 * 1024 * 1024;
const MOST_ENTRIES = 1_000;

/**
 * Turns an archive that another node sent into one that a daemon may load: exactly the image with this id, under no
 * name, whatever was sent.
 *
 * Names in the archive would become tags of the daemon that loads it, for everybody. Of what is left, the daemon checks
 * the layers against the configuration, and here the configuration is checked against the id. The end of the archive is
 * held back until then, and a daemon loads nothing that breaks off.
 *
 * Each layer must be in it but for the lowest `skip`, which the daemon has: it finds them by what the configuration says.
 *
 * The stream fails with IMAGE_UNAVAILABLE for anything else than the image, and with whatever `chunks` fail with.
 */
export function toLoadableImage(chunks: AsyncIterable<Uint8Array>, imageId: string, skip = 0): Readable {
  return Readable.from(loadable(chunks, createSeen(imageId, skip)), { objectMode: false });
}

async function* loadable(chunks: AsyncIterable<Uint8Array>, seen: Seen): AsyncGenerator<Buffer> {
  const archive = pack();
  let broken: unknown;
  const sent = tellingFailure(chunks, (error) => {
    broken = error;
  });
  rewrite(sent, archive, seen).catch((error: unknown) => archive.destroy(error as Error));
  try {
    yield* archive as unknown as AsyncIterable<Buffer>;
  } catch (error) {
    throw broken ?? toRefusal(error);
  }
}

/** The same chunks; says when it was their sender who failed, and not who read them. */
async function* tellingFailure(
  chunks: AsyncIterable<Uint8Array>,
  onFailure: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  const next = () =>
    iterator.next().catch((error: unknown) => {
      onFailure(error);
      throw error;
    });
  try {
    for (let step = await next(); !step.done; step = await next()) yield step.value;
  } finally {
    await iterator.return?.();
  }
}

type Entry = Extract extends AsyncIterable<infer Item> ? Item : never;

async function rewrite(chunks: AsyncIterable<Uint8Array>, archive: Pack, seen: Seen): Promise<void> {
  const tar = extract();
  const fed = pipeline(Readable.from(chunks, { objectMode: false }), tar);
  const copied = copyEntries(tar, archive, seen);
  const [read, written] = await Promise.allSettled([fed, copied]);
  if (written.status === 'rejected') throw written.reason;
  if (read.status === 'rejected') throw read.reason;
  seen.complete();
  archive.finalize();
}

async function copyEntries(tar: Extract, archive: Pack, seen: Seen): Promise<void> {
  for await (const entry of tar) {
    const { name, type, size, linkname } = entry.header;
    seen.entry(name);
    if (type === 'directory' && FOLDER.test(name)) await put(archive, { name, type }, '', entry);
    else if (type === 'symlink' && DATA.test(name) && LAYER_LINK.test(linkname)) {
      await put(archive, { name, type, linkname }, '', entry);
    } else if (type !== 'file') throw refuse(`it holds a ${type} ${JSON.stringify(name.slice(0, 80))}`);
    else if (name === TAGS) entry.resume();
    else if (name === MANIFEST || name === INDEX) {
      const text = JSON.stringify(
        name === MANIFEST ? seen.manifest(await readJson(entry)) : seen.index(await readJson(entry)),
      );
      await put(archive, { name, type }, text);
    } else if (seen.isIdentity(name)) {
      const content = await readSmall(entry);
      seen.identity(content);
      await put(archive, { name, type }, content);
    } else if (DATA.test(name)) {
      await pipeline(entry, archive.entry({ name, type, size, mode: 0o644 }));
    } else throw refuse(`it holds ${JSON.stringify(name.slice(0, 80))}`);
  }
}

async function put(
  archive: Pack,
  header: Partial<Header> & Pick<Header, 'name'>,
  content: string | Buffer,
  rest?: Entry,
): Promise<void> {
  rest?.resume();
  const mode = header.type === 'directory' ? 0o755 : 0o644;
  await new Promise<void>((resolve, reject) => {
    archive.entry({ ...header, mode }, content, (error) => (error ? reject(error) : resolve()));
  });
}

type Seen = ReturnType<typeof createSeen>;

/**
 * What of an archive has been seen. The id is the hash of the image's configuration, or in a store of containerd's that
 * of its manifest or index: whichever it is, the content is pinned by it.
 */
function createSeen(imageId: string, skip: number) {
  const hex = imageId.replace(/^sha256:/, '');
  const names = new Set<string>();
  const identities = [`${hex}.json`, `blobs/sha256/${hex}`];
  let isProven = false;
  let isNamed = false;
  let isPointedAt = false;
  let layers: readonly unknown[] = [];
  return {
    entry: (name: string): void => {
      if (names.has(name)) throw refuse(`it holds ${JSON.stringify(name.slice(0, 80))} twice`);
      if (names.add(name).size > MOST_ENTRIES) throw refuse(`it has more than ${MOST_ENTRIES} entries`);
    },
    isIdentity: (name: string): boolean => identities.includes(name),
    identity: (content: Buffer): void => {
      if (createHash('sha256').update(content).digest('hex') !== hex) throw refuse('its content has another hash');
      isProven = true;
    },
    /** `docker load` takes what this names; without it older daemons read a form in which nothing is hashed. */
    manifest: (value: unknown): unknown => {
      const [image, ...others] = Array.isArray(value) ? (value as Record<string, unknown>[]) : [];
      const { Config, Layers } = image ?? {};
      const isOne = typeof Config === 'string' && Array.isArray(Layers) && others.length === 0;
      if (!isOne || !DATA.test(Config)) throw refuse('it does not hold one image');
      isNamed = true;
      isPointedAt ||= identities.includes(Config);
      layers = Layers;
      return [{ Config, RepoTags: null, Layers }];
    },
    index: (value: unknown): unknown => {
      const { manifests, ...index } = (value ?? {}) as { manifests?: unknown };
      const [image, ...others] = Array.isArray(manifests) ? (manifests as Record<string, unknown>[]) : [];
      if (!image || others.length > 0) throw refuse('it does not hold one image');
      const { annotations: _, ...plain } = image;
      isPointedAt ||= plain.digest === imageId;
      return { ...index, annotations: undefined, manifests: [plain] };
    },
    complete: (): void => {
      if (!isProven || !isNamed || !isPointedAt) throw refuse('it is another image than was asked for');
      const missing = layers.slice(skip).find((layer) => !names.has(String(layer)));
      if (missing !== undefined) throw refuse(`it lacks the layer ${JSON.stringify(String(missing).slice(0, 80))}`);
    },
  };
}

async function readSmall(entry: Entry): Promise<Buffer> {
  if (entry.header.size > LARGEST_JSON) throw refuse('its configuration is too large');
  const parts: Buffer[] = [];
  for await (const part of entry) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function readJson(entry: Entry): Promise<unknown> {
  const text = (await readSmall(entry)).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refuse('its manifest is no JSON', cause);
  }
}

/** What tar says about broken bytes means that they are no image. */
function toRefusal(error: unknown): unknown {
  return isDomainError(error) ? error : refuse('it is not an archive, or one that was cut short', error);
}

function refuse(finding: string, cause?: unknown): DomainError {
  return new DomainError('IMAGE_UNAVAILABLE', `cannot take the image that was sent: ${finding}`, {
    hint: 'Deploy again; if it happens again, look at the node that sent it.',
    cause,
  });
}

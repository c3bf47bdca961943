import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack as createPack, extract, type Header, type Pack } from 'tar-stream';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { isPublished, SITE_ROOT } from '../../domain/static-site.ts';

/**
 * Makes a build context out of the files of a page: these below a folder of their own, so that none of them is taken for
 * the Dockerfile, and without what nobody shall see.
 *
 * The stream fails with SOURCE_REFUSED for an archive that is compressed or broken, and with whatever `page` fails with.
 */
export function packSite(page: Readable, dockerfile: string): Readable {
  const archive = createPack();
  const tar = extract();
  const read = pipeline(page, tar);
  // It ends the loop over its entries as well, with words of its own.
  let cause: unknown;
  read.catch((error: unknown) => {
    cause = error;
  });
  const filled = fill(archive, tar, dockerfile).then(() => read);
  filled.then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(error as Error),
  );
  const chunks = async function* () {
    try {
      yield* archive as unknown as AsyncIterable<Buffer>;
    } catch (error) {
      throw toRefusal(cause ?? error);
    } finally {
      page.destroy();
    }
  };
  return Readable.from(chunks(), { objectMode: false });
}

async function fill(archive: Pack, tar: ReturnType<typeof extract>, dockerfile: string): Promise<void> {
  await append(archive, { name: 'Dockerfile', mode: 0o644, mtime: new Date(0) }, dockerfile);
  for await (const entry of tar) {
    const { name, type, linkname } = entry.header;
    const path = posix.normalize(name).replace(/\/$/, '');
    if (path === '.' || !isPublished(path)) {
      entry.resume();
      continue;
    }
    const moved = { ...entry.header, name: `${SITE_ROOT}/${path}`, pax: null };
    const target = type === 'link' ? { linkname: `${SITE_ROOT}/${posix.normalize(linkname ?? '')}` } : {};
    if (type !== 'file' || entry.header.size === 0) {
      entry.resume();
      await append(archive, { ...moved, ...target }, '');
    } else await pipeline(entry, archive.entry(moved as Header));
  }
}

async function append(archive: Pack, header: object, content: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    archive.entry(header as Header, content, (error) => (error ? reject(error) : resolve()));
  });
}

function toRefusal(error: unknown): Error {
  if (isDomainError(error) || !/^(Unexpected end|Invalid tar)/i.test((error as Error).message)) return error as Error;
  return new DomainError('SOURCE_REFUSED', 'the page cannot be built: its archive is compressed, or broken', {
    hint: 'Upload a plain tar archive.',
    cause: error,
  });
}

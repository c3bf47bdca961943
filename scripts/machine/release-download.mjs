import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';

/** How long a publisher may take to begin its answer. */
const ANSWER_TIMEOUT_MS = 10_000;
/** How long a whole archive may take. */
const BODY_TIMEOUT_MS = 600_000;
/** A checksum list is a few hundred bytes; a server archive below 200 MB. */
const ARCHIVE_LIMIT_BYTES = 512 * 1024 * 1024;

/**
 * A publisher's archive and the list of checksums that vouches for it.
 *
 * @typedef {object} Release
 * @property {string} archiveUrl
 * @property {string} archiveName as the checksum list calls it
 * @property {string} checksumsUrl
 * @property {string} member the binary's path in the archive
 */

/**
 * Downloads a release archive, verifies its SHA-256 and unpacks one file of it.
 *
 * @param {Release} release
 * @param {string} folder an empty folder to work in
 * @returns {Promise<string>} the path of the unpacked file
 * @throws {SetupError} when the publisher can't be reached, or what it sent is not what the checksum says
 */
export async function downloadRelease(release, folder) {
  const list = await request(release.checksumsUrl, async (response) => response.text());
  const expected = checksumOf(list, release.archiveName);
  if (expected === undefined) throw new SetupError(`${release.checksumsUrl} does not list ${release.archiveName}`);
  const archive = join(folder, 'archive.tar.gz');
  await request(release.archiveUrl, (response) => save(response, archive));
  const actual = await sha256(archive);
  if (actual !== expected) {
    throw new SetupError(`${release.archiveUrl} has SHA-256 ${actual}, its publisher says ${expected}`, {
      hint: 'do not use this file; try again later or install the program yourself and put it on the PATH',
    });
  }
  await runCommand('tar', ['-xzf', archive, '-C', folder, release.member]);
  return join(folder, release.member);
}

/**
 * @param {string} list lines of "hash  file", as sha256sum writes them
 * @param {string} file
 * @returns {string | undefined} the hash in lower case
 */
export function checksumOf(list, file) {
  for (const line of list.split('\n')) {
    const [hash, listed] = line.trim().split(/\s+\*?/);
    if (listed?.replace(/^\.\//, '') === file && /^[0-9a-f]{64}$/i.test(hash ?? '')) return hash?.toLowerCase();
  }
  return undefined;
}

/**
 * @template T
 * @param {string} url
 * @param {(response: Response) => Promise<T>} read
 * @returns {Promise<T>}
 */
async function request(url, read) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), ANSWER_TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok) throw new SetupError(`${url} answered ${response.status}`);
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), BODY_TIMEOUT_MS);
    return await read(response);
  } catch (cause) {
    if (cause instanceof SetupError) throw cause;
    throw new SetupError(`${new URL(url).host} can't be reached`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** @param {Response} response @param {string} path */
async function save(response, path) {
  let received = 0;
  const limit = new Transform({
    transform(chunk, _encoding, done) {
      received += chunk.length;
      done(received > ARCHIVE_LIMIT_BYTES ? new Error(`more than ${ARCHIVE_LIMIT_BYTES} bytes`) : null, chunk);
    },
  });
  if (response.body === null) throw new SetupError(`${response.url} answered without a body`);
  const body = Readable.fromWeb(/** @type {import('node:stream/web').ReadableStream} */ (response.body));
  await pipeline(body, limit, createWriteStream(path));
}

/** @param {string} path */
async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

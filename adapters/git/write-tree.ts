import { type FileHandle, mkdir, open, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { checkLink, refused, type TreeEntry } from '../../domain/source-tree.ts';
import { createByteReader } from './byte-reader.ts';
import { localEnvironment } from './fetch-objects.ts';
import { toSourceError } from './git-failure.ts';
import type { FetchedCommit } from './read-tree.ts';
import { runGit } from './run-git.ts';

/** What Git LFS leaves in a repository in place of a file. */
const LFS_POINTER = Buffer.from('version https://git-lfs.github.com/spec/v1\n');

/** Longest link that is read; the rules allow no more. */
const MAX_LINK_BYTES = 16 * 1024;

/**
 * Writes the entries of a commit below `root`, byte for byte as they are in the repository.
 *
 * Git's own checkout is not used: it obeys attributes of the tree (filters, line ends, `$Id$`) and works its way through
 * links. Here links are made last, so nothing is ever written through one, and nothing that is there is replaced.
 *
 * @returns how many files are Git LFS pointers, whose content is on another server.
 * @throws SOURCE_REFUSED for links that leave the tree, and names that are one on this file system.
 */
export async function writeTree(
  of: FetchedCommit,
  entries: readonly TreeEntry[],
  root: string,
): Promise<{ readonly lfsPointers: number }> {
  const { remote, commit, signal } = of;
  const blobs = entries.filter(({ kind }) => kind !== 'submodule');
  await mkdir(root, { recursive: true });
  const makeFolder = createFolderMaker(root);
  for (const { kind, path } of entries) await makeFolder(kind === 'submodule' ? path : dirname(path));
  const call = {
    args: ['cat-file', '--batch', '--buffer'],
    input: blobs.map(({ id }) => `${id}\n`),
    env: localEnvironment(of),
    ...{ cwd: remote.world.work, signal },
  };
  try {
    return await runGit(remote.world.programs, call, (output) => writeBlobs(output, blobs, root));
  } catch (error) {
    throw toSourceError(`cannot read the files of commit ${commit}`, error, remote.secrets);
  }
}

async function writeBlobs(output: Readable, blobs: readonly TreeEntry[], root: string) {
  const reader = createByteReader(output);
  const links: { path: string; target: string }[] = [];
  let lfsPointers = 0;
  for (const entry of blobs) {
    const header = await reader.line();
    if (header !== `${entry.id} blob ${entry.size}`) throw refused(entry.path, `is missing: git says ${header}`);
    const content = reader.bytes(entry.size);
    if (entry.kind === 'link') links.push({ path: entry.path, target: await readTarget(entry, content) });
    else lfsPointers += (await writeFile(join(root, entry.path), entry, content)) ? 1 : 0;
    await reader.line();
  }
  for (const { path, target } of links) {
    checkLink(path, target);
    await symlink(target, join(root, path)).catch((error: unknown) => {
      throw toCollision(path, error);
    });
  }
  return { lfsPointers };
}

/** @returns whether it is a Git LFS pointer. */
async function writeFile(file: string, entry: TreeEntry, content: AsyncIterable<Buffer>): Promise<boolean> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'wx', entry.kind === 'executable' ? 0o755 : 0o644);
  } catch (error) {
    throw toCollision(entry.path, error);
  }
  try {
    let beginning: Buffer = Buffer.alloc(0);
    for await (const chunk of content) {
      if (beginning.length < LFS_POINTER.length) beginning = Buffer.concat([beginning, chunk]);
      await handle.writeFile(chunk);
    }
    return beginning.subarray(0, LFS_POINTER.length).equals(LFS_POINTER);
  } finally {
    await handle.close();
  }
}

async function readTarget({ path, size }: TreeEntry, content: AsyncIterable<Buffer>): Promise<string> {
  if (size > MAX_LINK_BYTES) throw refused(path, 'is a link without end');
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Makes folders with those above them, each once. */
function createFolderMaker(root: string): (path: string) => Promise<void> {
  const made = new Set<string>(['.']);
  return async (path) => {
    if (made.has(path)) return;
    made.add(path);
    await mkdir(join(root, path), { recursive: true });
  };
}

/** In a repository these are two names; where case or form of letters does not count, they are one. */
function toCollision(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EEXIST' || code === 'EISDIR' ? refused(path, 'has the name of another entry') : error;
}

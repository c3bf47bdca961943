import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { DomainError } from '../../domain/errors.ts';
import { parseTreeEntry, refused, type TreeEntry } from '../../domain/source-tree.ts';
import { describeObjects, localEnvironment } from './fetch-objects.ts';
import { toSourceError } from './git-failure.ts';
import type { Remote } from './remote.ts';
import { runGit } from './run-git.ts';

/** Longest record that is taken in: a path may have 4,096 characters of 4 bytes. */
const MAX_RECORD_BYTES = 20 * 1024;

/** A commit that is there, with where. */
export interface FetchedCommit {
  readonly remote: Remote;
  readonly repository: string;
  readonly commit: string;
  /** The folder that is built; empty for all of it. */
  readonly subdirectory: string;
  readonly signal: AbortSignal;
}

/**
 * Lists the files, links and submodules of a commit below its subdirectory, in git's order.
 *
 * Each is given to `take` before the next is read, so a tree that repeats itself without end stops at the first one too
 * many.
 *
 * @throws SOURCE_REFUSED for a subdirectory that is none, and for entries that may not be in a build.
 */
export async function readTree(of: FetchedCommit, take: (entry: TreeEntry) => void): Promise<readonly TreeEntry[]> {
  const { remote, commit, subdirectory, signal } = of;
  const tree = `${commit}:${subdirectory}`;
  const [type] = await describeObjects(of, [tree]);
  if (type !== 'tree') {
    const finding = `the repository has no folder ${JSON.stringify(subdirectory)} at commit ${commit}`;
    throw new DomainError('SOURCE_REFUSED', finding, { hint: 'Correct the subdirectory; it may be no link.' });
  }
  const args = ['ls-tree', '-r', '-l', '-z', '--full-tree', tree];
  const call = { args, env: localEnvironment(of), cwd: remote.world.work, signal };
  const read = async (output: Readable): Promise<readonly TreeEntry[]> => {
    const entries: TreeEntry[] = [];
    for await (const record of records(output)) {
      const entry = parseTreeEntry(record);
      take(entry);
      entries.push(entry);
    }
    return entries;
  };
  try {
    return await runGit(remote.world.programs, call, read);
  } catch (error) {
    throw toSourceError(`cannot list the files of commit ${commit}`, error, remote.secrets);
  }
}

/** Records that end with a NUL, as UTF-8. */
async function* records(output: Readable): AsyncGenerator<string> {
  let unfinished = Buffer.alloc(0);
  for await (const chunk of output as AsyncIterable<Buffer>) {
    let bytes = Buffer.concat([unfinished, chunk]);
    for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0)) {
      yield toText(bytes.subarray(0, end));
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > MAX_RECORD_BYTES) throw refused(bytes.toString('latin1', 0, 100), 'has a path without end');
    unfinished = bytes;
  }
}

/** What a name in another encoding means, nobody can tell. */
function toText(record: Buffer): string {
  if (isUtf8(record)) return record.toString('utf8');
  throw refused(record.toString('latin1').replace(/^[^\t]*\t/, ''), 'has a name that is not UTF-8');
}

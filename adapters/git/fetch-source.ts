import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type GitUrl, isSameServer } from '../../domain/git-source.ts';
import type { SourceBudget, TreeEntry } from '../../domain/source-tree.ts';
import type { GitCredential } from './credential.ts';
import { fetchObjects } from './fetch-objects.ts';
import { type FetchedCommit, readTree } from './read-tree.ts';
import { openRemote, type RemoteOptions } from './remote.ts';
import { openSubmodules } from './submodules.ts';
import { writeTree } from './write-tree.ts';

/** What holds for a source and all of its submodules. */
export interface SourceContext extends RemoteOptions {
  readonly budget: SourceBudget;
  readonly silenceMs: number;
  /** Whether submodules are fetched. */
  readonly submodules: boolean;
  readonly work: string;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

/** One repository of a source. */
export interface RepositoryRequest {
  readonly url: GitUrl;
  readonly commit: string;
  readonly subdirectory: string;
  readonly credential: GitCredential;
  /** An empty folder. */
  readonly into: string;
  /** Where that is in the source, for the budget: empty, or with a slash at its end. */
  readonly prefix: string;
}

/**
 * Fetches the files of one repository, and then of its submodules. Its objects are removed before those of the next are
 * fetched, so the disk holds one download at a time.
 */
export async function fetchSource(context: SourceContext, request: RepositoryRequest): Promise<void> {
  const submodules = await fetchRepository(context, request);
  for (const submodule of submodules) {
    context.budget.takeSubmodule();
    context.onProgress(`fetching submodule ${submodule.prefix.slice(0, -1)} from ${submodule.url.text}`);
    await fetchSource(context, submodule);
  }
}

/** @returns the submodules that are still to be fetched. */
async function fetchRepository(
  context: SourceContext,
  request: RepositoryRequest,
): Promise<readonly RepositoryRequest[]> {
  const { budget, signal, onProgress } = context;
  const { url, commit, credential, into, prefix } = request;
  const subdirectory = request.subdirectory === '' ? '' : `${request.subdirectory}/`;
  const work = await mkdtemp(join(context.work, 'repository-'));
  try {
    const remote = await openRemote(context, { url, credential, work, signal });
    const repository = join(work, 'objects.git');
    await fetchObjects({ ...context, remote, commit, repository });
    const fetched: FetchedCommit = { remote, repository, commit, subdirectory: request.subdirectory, signal };
    const entries = await readTree(fetched, (entry) => budget.take(moved(entry, prefix)));
    const { lfsPointers } = await writeTree(fetched, entries, join(into, request.subdirectory));
    if (lfsPointers > 0) onProgress(`${lfsPointers} files are Git LFS pointers: their contents are not fetched`);
    const links = context.submodules ? entries.filter(({ kind }) => kind === 'submodule') : [];
    if (links.length === 0) return [];
    const find = await openSubmodules(fetched, context.rules);
    return links.map(({ path, id }) => {
      const whole = `${subdirectory}${path}`;
      const from = find(whole);
      return {
        url: from,
        commit: id,
        subdirectory: '',
        credential: isSameServer(from, url) ? credential : { kind: 'none' as const },
        into: join(into, whole),
        prefix: `${prefix}${whole}/`,
      };
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function moved(entry: TreeEntry, prefix: string): TreeEntry {
  return { ...entry, path: `${prefix}${entry.path}` };
}

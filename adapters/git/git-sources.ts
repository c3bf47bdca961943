import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DomainError } from '../../domain/errors.ts';
import { chooseCommit, namesToAsk } from '../../domain/git-refs.ts';
import {
  type GitLimits,
  type GitRules,
  isCommitId,
  parseCommit,
  parseGitRef,
  parseGitUrl,
  parseSubdirectory,
} from '../../domain/git-source.ts';
import { createSourceBudget } from '../../domain/source-tree.ts';
import { type Lookup, lookupAll } from './checked-address.ts';
import type { GitCredential } from './credential.ts';
import { gitEnvironment } from './environment.ts';
import { fetchSource } from './fetch-source.ts';
import { toSourceError } from './git-failure.ts';
import { findGitPrograms } from './programs.ts';
import { openRemote, type RemoteOptions } from './remote.ts';
import { readText, runGit } from './run-git.ts';
import { openWorkFolders, withWorkFolder } from './work-folder.ts';

/** The few lines of the refs that were asked for. */
const MAX_REFS_BYTES = 64 * 1024;

/** What a ref stands for is wanted. */
export interface ResolveRefRequest {
  readonly url: string;
  /** A branch, a tag, a full ref name, `HEAD` or a whole commit id. */
  readonly ref: string;
  readonly credential: GitCredential;
  readonly signal: AbortSignal;
}

/** The files of a commit are wanted. */
export interface FetchCommitRequest {
  readonly url: string;
  readonly commit: string;
  /** Only this folder is written, at its own path; empty for all of it. Links may not leave it. */
  readonly subdirectory: string;
  /** Whether submodules are fetched too, also those of submodules; else their folders are empty. */
  readonly submodules: boolean;
  /** Shown to the server of `url` only; submodules on it are read with it too. */
  readonly credential: GitCredential;
  readonly limits: GitLimits;
  /** A folder that does not exist; it is made, and removed again when the fetch fails. */
  readonly into: string;
  readonly signal: AbortSignal;
  /** Told of lines for people: harmless on a terminal, without secrets, several each second. Must not throw. */
  readonly onProgress?: (line: string) => void;
}

/**
 * Sources in Git repositories, of any origin: nothing that a repository or a server says is obeyed, and nothing of a
 * fetch but its files outlives it.
 *
 * Both throw INVALID_ARGUMENT for requests that may not be made; SOURCE_UNAVAILABLE (retryable) when a server cannot be
 * reached; SOURCE_REFUSED (final) for what no repetition can change; the reason of the signal when it is aborted, after
 * every process has ended. Running twice is safe.
 */
export interface GitSources {
  /** Asks the server what a ref stands for now. A commit id stands for itself; whether it is there, a fetch shows. */
  resolveRef(request: ResolveRefRequest): Promise<{ readonly commit: string }>;
  /** Writes the files of exactly one commit; there is no `.git` among them. */
  fetchCommit(request: FetchCommitRequest): Promise<{ readonly files: number; readonly bytes: number }>;
}

/** What the adapter needs of its process. */
export interface GitSourcesOptions {
  /** For work in progress, on a disk that has room for a download; made when it is not there. */
  readonly folder: string;
  readonly rules: GitRules;
  /** PEM certificates that HTTPS servers are checked against in place of the machine's. */
  readonly caFile?: string;
  /** Where programs are looked for; the PATH of this process when absent. */
  readonly searchPath?: string;
  readonly lookup?: Lookup;
  /** How long a server may take to list its refs. */
  readonly resolveTimeoutMs?: number;
  /** How long a server may say nothing during a fetch. */
  readonly silenceMs?: number;
}

/**
 * Opens the adapter, and removes what fetches of a process that was killed have left.
 *
 * @throws CONFIGURATION when the machine has no usable git.
 */
export async function openGitSources(options: GitSourcesOptions): Promise<GitSources> {
  const { rules, caFile, lookup = lookupAll, resolveTimeoutMs = 60_000, silenceMs = 120_000 } = options;
  const folder = resolve(options.folder);
  const programs = await findGitPrograms(options.searchPath ?? process.env.PATH ?? '');
  await openWorkFolders(folder);
  const remoteOptions: RemoteOptions = { programs, rules, lookup, caFile };
  return {
    resolveRef: async (request) => {
      const url = parseGitUrl('url', request.url, rules);
      const ref = parseGitRef('ref', request.ref);
      if (isCommitId(ref)) return { commit: ref };
      return await bounded(`cannot read the refs of ${url.text}`, resolveTimeoutMs, request.signal, (signal) =>
        withWorkFolder(folder, async (work) => {
          const remote = await openRemote(remoteOptions, { url, credential: request.credential, work, signal });
          return { commit: await askForRef(remote, ref, signal) };
        }),
      );
    },
    fetchCommit: async ({ onProgress = () => {}, ...request }) => {
      const url = parseGitUrl('url', request.url, rules);
      const commit = parseCommit('commit', request.commit);
      const subdirectory = parseSubdirectory('subdirectory', request.subdirectory);
      const budget = createSourceBudget(request.limits);
      const { into, submodules, credential } = request;
      await bounded(`cannot fetch ${url.text}`, request.limits.timeoutMs, request.signal, (signal) =>
        withWorkFolder(folder, async (work) => {
          await mkdir(into, { mode: 0o700 });
          try {
            const context = { ...remoteOptions, budget, silenceMs, submodules, work, signal, onProgress };
            await fetchSource(context, { url, commit, subdirectory, credential, into, prefix: '' });
          } catch (error) {
            await rm(into, { recursive: true, force: true });
            throw error;
          }
        }),
      );
      return budget.spent();
    },
  };
}

async function askForRef(remote: Awaited<ReturnType<typeof openRemote>>, ref: string, signal: AbortSignal) {
  const { url, world, secrets } = remote;
  const args = ['ls-remote', '--quiet', '--', url.text, ...namesToAsk(ref)];
  const call = { args, env: gitEnvironment(world), cwd: world.work, signal };
  let text: string;
  try {
    text = await runGit(world.programs, call, readText(MAX_REFS_BYTES));
  } catch (error) {
    throw toSourceError(`cannot read the refs of ${url.text}`, error, secrets);
  }
  const lines = text.split('\n').map((line) => line.split('\t'));
  return chooseCommit(
    ref,
    lines.flatMap(([commit = '', name = '']) => (isCommitId(commit) ? [{ name, commit }] : [])),
  );
}

/** Ends work that takes too long, and says so in words. */
async function bounded<Answer>(
  what: string,
  timeoutMs: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  outer.throwIfAborted();
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await work(AbortSignal.any([outer, timeout]));
  } catch (error) {
    outer.throwIfAborted();
    if (!timeout.aborted) throw error;
    const message = `${what}: it took longer than ${timeoutMs / 1000} s`;
    throw new DomainError('SOURCE_UNAVAILABLE', message, { hint: 'Try again later.', cause: error });
  }
}

import { mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FetchCommitRequest,
  type GitSources,
  type GitSourcesOptions,
  openGitSources,
} from '../../adapters/git/git-sources.ts';
import { GIT_LIMITS } from '../../domain/git-source.ts';
import { createTestRepository, type TestRepository } from './git-repository.ts';
import { GIT_SERVER_NAME, type GitServer, startGitServer } from './git-server.ts';

/** A server of repositories on loopback, and the adapter that is allowed to reach it. */
export interface GitRig {
  readonly folder: string;
  /** Below it are the repositories that the server serves. */
  readonly root: string;
  /** Where the adapter works. */
  readonly work: string;
  readonly server: GitServer;
  readonly sources: GitSources;
  /** The adapter with other options; all rigs work in one folder. */
  open(options?: Partial<GitSourcesOptions>): Promise<GitSources>;
  repository(name: string, format?: 'sha1' | 'sha256'): TestRepository;
  /** Fetches into a new folder and answers with the files of it: content by path, `-> target` of links. */
  fetch(request: Partial<FetchCommitRequest> & { url: string; commit: string }): Promise<FetchedFiles>;
  /** What is left in the folders of the adapter and of the fetches that failed. */
  leftovers(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** What a fetch wrote. */
export interface FetchedFiles {
  readonly into: string;
  readonly files: Readonly<Record<string, string>>;
  readonly result: { readonly files: number; readonly bytes: number };
}

/** Starts server and adapter. Only names of `*.example.test` resolve, to loopback. */
export async function startGitRig(): Promise<GitRig> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-git-test-'));
  const [root, work, targets] = ['served', 'work', 'targets'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await Promise.all([root, targets].map((path) => mkdir(path)));
  const server = await startGitServer(root, folder);
  const open = (options: Partial<GitSourcesOptions> = {}) =>
    openGitSources({
      folder: work,
      rules: { allowedHosts: [server.host] },
      caFile: server.caFile,
      lookup: async (host) => (host.endsWith('.example.test') ? ['127.0.0.1'] : []),
      ...options,
    });
  const sources = await open();
  let fetches = 0;
  return {
    ...{ folder, root, work, server, sources, open },
    repository: (name, format) => createTestRepository(root, name, format),
    fetch: async (request) => {
      fetches += 1;
      const into = request.into ?? join(targets, String(fetches));
      const result = await sources.fetchCommit({ ...aFetch(), into, ...request });
      return { into, files: await readAll(into), result };
    },
    leftovers: async () => [...(await readdir(work)), ...(await readdir(targets))],
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** The parts of a request that most fetches share. */
export function aFetch() {
  return {
    subdirectory: '',
    submodules: false,
    credential: { kind: 'none' as const },
    limits: GIT_LIMITS,
    signal: new AbortController().signal,
  };
}

/** The name that a server of a rig has, for other ports. */
export { GIT_SERVER_NAME };

async function readAll(into: string): Promise<Record<string, string>> {
  const entries = await readdir(into, { recursive: true, withFileTypes: true });
  const found: Record<string, string> = {};
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(into.length + 1);
    if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(path)}`;
    else if (entry.isFile()) found[name] = await readFile(path, 'utf8');
    else if (entry.isDirectory() && (await readdir(path)).length === 0) found[`${name}/`] = '';
  }
  return found;
}

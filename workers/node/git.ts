import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FetchedTree, GitPorts } from '../../activities/git-ports.ts';
import type { GitCredential } from '../../adapters/git/credential.ts';
import { type GitSources, type GitSourcesOptions, openGitSources } from '../../adapters/git/git-sources.ts';
import { digestFolders } from '../../adapters/sources/digest-folders.ts';
import { packTree } from '../../adapters/sources/pack-tree.ts';
import { readSourceFile } from '../../adapters/sources/source-file.ts';
import { readSourceTree } from '../../adapters/sources/source-tree.ts';
import type { ServiceRef } from '../../contracts/rollout.ts';
import type { StoredGitCredential } from '../../domain/git-credential.ts';
import { GIT_LIMITS } from '../../domain/git-source.ts';

/** What reading repositories needs of the node. */
export interface GitOptions extends Pick<GitSourcesOptions, 'rules' | 'lookup'> {
  /** A folder of this node's own. */
  readonly folder: string;
  readonly caFile: string | undefined;
  /** Opens the credential for the source of a service that this node builds; `null` without one. */
  readonly fetchCredential: (of: ServiceRef) => Promise<StoredGitCredential | null>;
}

/**
 * Opens what this node reads Git repositories by, with nothing left of fetches that an earlier process was killed in.
 *
 * A machine without a usable git is noticed by those who need it, since a node does all else without.
 */
export async function openGit({ folder, rules, caFile, lookup, fetchCredential }: GitOptions): Promise<GitPorts> {
  const [fetches, trees, hosts] = ['fetches', 'trees', 'known-hosts'].map((name) => join(folder, name)) as Folders;
  await Promise.all([fetches, trees].map((path) => rm(path, { recursive: true, force: true })));
  await Promise.all([trees, hosts].map((path) => mkdir(path, { recursive: true, mode: 0o700 })));
  let opened: Promise<GitSources> | undefined;
  const open = (): Promise<GitSources> => {
    const options = { folder: fetches, rules, ...(caFile ? { caFile } : {}), ...(lookup ? { lookup } : {}) };
    opened ??= openGitSources(options).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const credentialFor = async ({ deploymentId, revision, service }: ServiceRef): Promise<GitCredential> => {
    const credential = await fetchCredential({ deploymentId, revision, service });
    if (credential?.kind !== 'ssh') return credential ?? { kind: 'none' };
    const { knownHosts: lines } = credential;
    return { ...credential, knownHosts: lines === '' ? { learnIn: join(hosts, deploymentId) } : { lines } };
  };
  return {
    resolveRef: async ({ url, ref, ...of }, signal) => {
      const sources = await open();
      return await sources.resolveRef({ url, ref, credential: await credentialFor(of), signal });
    },
    withCommit: async ({ url, commit, subdirectory, submodules, ...of }, { signal, onProgress }, use) => {
      const sources = await open();
      const into = join(trees, `${of.deploymentId}.${of.revision}.${of.service}`);
      await rm(into, { recursive: true, force: true });
      try {
        const wanted = { url, commit, subdirectory, submodules, limits: GIT_LIMITS, into, signal, onProgress };
        await sources.fetchCommit({ ...wanted, credential: await credentialFor(of) });
        return await use(await toFetched(into, subdirectory));
      } finally {
        await rm(into, { recursive: true, force: true });
      }
    },
    forget: (deploymentId) => rm(join(hosts, deploymentId), { force: true }),
  };
}

type Folders = [fetches: string, trees: string, hosts: string];

async function toFetched(folder: string, subdirectory: string): Promise<FetchedTree> {
  return {
    tree: await readSourceTree(folder, subdirectory),
    pack: (dockerfile) => packTree({ folder, subdirectory, dockerfile }),
    read: (path) => readSourceFile(join(folder, subdirectory), path),
    digest: (folders, signal) => digestFolders(join(folder, subdirectory), folders, signal),
  };
}

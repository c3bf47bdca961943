import { dirname } from 'node:path';
import type { GitPrograms } from './programs.ts';

/** One setting of git, as `git config` names it. */
export type GitSetting = readonly [name: string, value: string];

/**
 * Settings that hold for every run. They come by the environment, so they win over what a repository's own
 * configuration says; there is none of the user and of the system.
 */
const SETTINGS: readonly GitSetting[] = [
  // Nothing that a repository brings along is run.
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.askPass', ''],
  ['credential.helper', ''],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  // What a server sends is checked as it arrives, and always kept as one file, whose size is bounded.
  ['transfer.fsckObjects', 'true'],
  ['fetch.unpackLimit', '1'],
  ['fetch.uriProtocols', ''],
  ['transfer.bundleURI', 'false'],
  // Mistakes of the first tools that wrote Git objects. They do no harm, and old repositories are full of them.
  ['fetch.fsck.zeroPaddedFilemode', 'ignore'],
  ['fetch.fsck.missingSpaceBeforeDate', 'ignore'],
  ['fetch.fsck.badTimezone', 'ignore'],
  ['fetch.fsck.badDate', 'ignore'],
  ['fetch.fsck.zeroPaddedDate', 'ignore'],
  ['fetch.fsck.missingEmail', 'ignore'],
  // Nothing outlives the command, and memory does not grow with the number of processors.
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['pack.threads', '1'],
  ['core.bigFileThreshold', '8m'],
  ['core.deltaBaseCacheLimit', '32m'],
  ['core.packedGitWindowSize', '32m'],
  ['core.packedGitLimit', '256m'],
  // A redirect leads to an address that nobody checked, and a proxy to one that nobody chose.
  ['http.followRedirects', 'false'],
  ['http.proxy', ''],
  ['http.sslVerify', 'true'],
  ['http.saveCookies', 'false'],
];

/** Where and with what git runs. */
export interface GitWorld {
  readonly programs: GitPrograms;
  /** A folder of this one task: home, temporary files, and the end of git's search for a repository. */
  readonly work: string;
  /** The repository to work on; absent, there is none. */
  readonly repository?: string;
  /** The one protocol that may be spoken; absent, none. */
  readonly protocol?: 'https' | 'ssh';
  readonly settings?: readonly GitSetting[];
  readonly variables?: Readonly<Record<string, string>>;
}

/** All of the environment that git gets: nothing of this process's own but where programs are. */
export function gitEnvironment(world: GitWorld): Record<string, string> {
  const { programs, work, repository, protocol, settings = [], variables = {} } = world;
  const all = [...SETTINGS, ...settings];
  return {
    // What runs as ssh is a script of this platform's, which needs this Node.
    PATH: `${dirname(process.execPath)}:${programs.searchPath}`,
    HOME: work,
    XDG_CONFIG_HOME: work,
    TMPDIR: work,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_CEILING_DIRECTORIES: dirname(work),
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: protocol ?? 'none',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    GIT_OPTIONAL_LOCKS: '0',
    SSH_ASKPASS_REQUIRE: 'never',
    ...(repository === undefined ? {} : { GIT_DIR: repository }),
    ...variables,
    GIT_CONFIG_COUNT: String(all.length),
    ...Object.fromEntries(
      all.flatMap(([name, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, name],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
}

import { DomainError } from '../../domain/errors.ts';
import type { GitRules, GitUrl } from '../../domain/git-source.ts';
import { readSubmodules, submoduleUrl } from '../../domain/submodules.ts';
import { ProcessFailed } from '../processes/run-process.ts';
import { describeObjects, localEnvironment } from './fetch-objects.ts';
import { toSourceError } from './git-failure.ts';
import type { FetchedCommit } from './read-tree.ts';
import { readText, runGit } from './run-git.ts';

/** A `.gitmodules` of 50 submodules has 6 KiB. */
const MAX_SETTINGS_BYTES = 256 * 1024;

/** Finds where the submodule at a path, counted from the root of the repository, comes from. */
export type SubmoduleFinder = (path: string) => GitUrl;

/**
 * Reads the `.gitmodules` of a commit. Of what it says only paths and URLs count: a command to update by, a branch or a
 * file to include is never looked at.
 *
 * @throws SOURCE_REFUSED for a file that git cannot read.
 */
export async function openSubmodules(of: FetchedCommit, rules: GitRules): Promise<SubmoduleFinder> {
  const urls = readSubmodules(await readSettings(of));
  return (path) => {
    const url = urls.get(path);
    if (url !== undefined) return submoduleUrl(of.remote.url, { path, url }, rules);
    throw new DomainError('SOURCE_REFUSED', `.gitmodules does not say where submodule ${JSON.stringify(path)} is`, {
      hint: 'Add it to .gitmodules, or deploy without submodules.',
    });
  };
}

async function readSettings(of: FetchedCommit): Promise<readonly (readonly [string, string])[]> {
  const { remote, commit, signal } = of;
  const file = `${commit}:.gitmodules`;
  const [type] = await describeObjects(of, [file]);
  if (type !== 'blob') return [];
  const args = ['config', '--blob', file, '--no-includes', '--null', '--get-regexp', '^submodule\\..*\\.(path|url)$'];
  const call = { args, env: localEnvironment(of), cwd: remote.world.work, signal };
  try {
    const text = await runGit(remote.world.programs, call, readText(MAX_SETTINGS_BYTES));
    return text.split('\0').flatMap((pair) => {
      const at = pair.indexOf('\n');
      return at < 0 ? [] : [[pair.slice(0, at), pair.slice(at + 1)] as const];
    });
  } catch (error) {
    // It ends so when it finds nothing.
    if (error instanceof ProcessFailed && error.lines.length === 0) return [];
    throw toSourceError(`cannot read .gitmodules of commit ${commit}`, error, remote.secrets);
  }
}

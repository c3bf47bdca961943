import { DomainError, isDomainError } from './errors.ts';
import { type GitRules, type GitUrl, parseGitUrl } from './git-source.ts';

/**
 * Finds where a submodule comes from: an address by the same rules as every other, or one relative to its parent's.
 *
 * An address on the parent's own host is reached by the parent's protocol, port and user: repositories of one owner
 * name each other by SSH, and a caller gives one credential for the whole source.
 *
 * @throws SOURCE_REFUSED: the address is part of the repository, so no other request can make it right.
 */
export function submoduleUrl(parent: GitUrl, submodule: { path: string; url: string }, rules: GitRules): GitUrl {
  const { path, url } = submodule;
  try {
    const text = /^\.\.?\//.test(url) ? relativeTo(parent, url) : url;
    const parsed = parseGitUrl('url', text, rules);
    const isNeighbour = parsed.host === parent.host && parsed.protocol !== parent.protocol;
    return isNeighbour ? parseGitUrl('url', beside(parent, absolute(parsed.path)), rules) : parsed;
  } catch (error) {
    if (!isDomainError(error)) throw error;
    throw new DomainError('SOURCE_REFUSED', `submodule ${JSON.stringify(path)} cannot be fetched: ${error.message}`, {
      hint: 'Mend .gitmodules, or deploy without submodules.',
      cause: error,
    });
  }
}

/** Each `..` takes one name off the parent's path, as git does. */
function relativeTo(parent: GitUrl, url: string): string {
  const names = parent.path.split('/').filter((name) => name !== '');
  for (const part of url.split('/')) {
    if (part === '.') continue;
    if (part !== '..') names.push(part);
    else if (names.pop() === undefined) {
      throw new DomainError('INVALID_ARGUMENT', 'url: climbs above the root of its server; allowed is a path below it');
    }
  }
  return beside(parent, `${parent.path.startsWith('/') ? '/' : ''}${names.join('/')}`);
}

/** The address of another path on the parent's server. */
function beside(parent: GitUrl, path: string): string {
  const { protocol, user, host, port } = parent;
  if (!path.startsWith('/')) return `${user}@${host}:${path}`;
  return protocol === 'https' ? `https://${host}:${port}${path}` : `ssh://${user}@${host}:${port}${path}`;
}

/** A path from an SSH user's home has no other name by HTTPS than the same from the root. */
function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/**
 * Reads the pairs of a `.gitmodules` as git lists them: where each submodule lies, and where it comes from. What has no
 * path or no URL is left out; the last of two for one path counts.
 */
export function readSubmodules(settings: readonly (readonly [key: string, value: string])[]): Map<string, string> {
  const paths = new Map<string, string>();
  const urls = new Map<string, string>();
  for (const [key, value] of settings) {
    const [, name, what] = /^submodule\.(.*)\.(path|url)$/s.exec(key) ?? [];
    if (name !== undefined) (what === 'path' ? paths : urls).set(name, value);
  }
  const found = [...paths].flatMap(([name, path]) => {
    const url = urls.get(name);
    return url === undefined ? [] : [[path, url] as const];
  });
  return new Map(found);
}

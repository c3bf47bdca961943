import { DomainError } from './errors.ts';
import type { GitLimits } from './git-source.ts';
import { MAX_PATH_LENGTH, mayLeaveRoot } from './link-target.ts';

/** Longest file name that Linux takes, in bytes. */
const MAX_NAME_BYTES = 255;

/** One entry of a Git tree, as `git ls-tree` lists it. */
export interface TreeEntry {
  readonly kind: 'file' | 'executable' | 'link' | 'submodule';
  /** Id of the object that has the content; of a submodule its commit. */
  readonly id: string;
  /** Bytes; 0 for a submodule. */
  readonly size: number;
  /** Relative to the root of what is built, with slashes. */
  readonly path: string;
}

const KIND_OF_MODE: Readonly<Record<string, TreeEntry['kind']>> = {
  '100644': 'file',
  // Of the first years of git: it reads and writes them as ordinary files.
  '100664': 'file',
  '100755': 'executable',
  '120000': 'link',
  '160000': 'submodule',
};

/** Counts what a source costs, over all of its repositories. */
export interface SourceBudget {
  readonly limits: GitLimits;
  /** @throws SOURCE_REFUSED once there are too many bytes, or too many files, links and folders. */
  take(entry: TreeEntry): void;
  /** @throws SOURCE_REFUSED once there are too many. */
  takeSubmodule(): void;
  /** Takes what was received, and answers with what may still be. @throws SOURCE_REFUSED */
  takeDownload(bytes: number): number;
  spent(): { readonly files: number; readonly bytes: number };
}

/** Creates the budget of one source. */
export function createSourceBudget(limits: GitLimits): SourceBudget {
  const folders = new Set<string>();
  let [files, bytes, submodules, received, entries] = [0, 0, 0, 0, 0];
  return {
    limits,
    take: ({ path, size, kind }) => {
      entries += 1 + newFolders(folders, path);
      files += kind === 'submodule' ? 0 : 1;
      bytes += size;
      if (entries > limits.entries) throw tooMuch(`more than ${limits.entries} files and folders`);
      if (bytes > limits.bytes) throw tooMuch(`more than ${inMib(limits.bytes)} of files`);
    },
    takeSubmodule: () => {
      submodules += 1;
      if (submodules > limits.submodules) throw tooMuch(`more than ${limits.submodules} submodules`);
    },
    takeDownload: (more) => {
      received += more;
      if (received >= limits.downloadBytes) throw downloadTooLarge(limits);
      return limits.downloadBytes - received;
    },
    spent: () => ({ files, bytes }),
  };
}

/** A download that was cut off at its limit. */
export function downloadTooLarge({ downloadBytes }: GitLimits): DomainError {
  return tooMuch(`more than ${inMib(downloadBytes)} to download`);
}

/**
 * Reads one record of `git ls-tree -l -z`: mode, type, id, size and path.
 *
 * @throws SOURCE_REFUSED for an entry that is none of a file, a link and a submodule, and for names that no build may
 * see: those that leave the tree, and `.git`, whose content git itself would obey.
 */
export function parseTreeEntry(record: string): TreeEntry {
  const [, mode = '', id = '', size = '', path = ''] = /^(\d+) \w+ ([0-9a-f]+) +(-|\d+)\t(.+)$/s.exec(record) ?? [];
  const kind = KIND_OF_MODE[mode];
  const problem = kind === undefined ? `is of mode ${mode}` : pathProblem(path);
  if (kind === undefined || problem) throw refused(path === '' ? record : path, problem ?? '');
  return { kind, id, size: size === '-' ? 0 : Number(size), path };
}

/** Checks where a link leads. @throws SOURCE_REFUSED for one that may leave the tree. */
export function checkLink(path: string, target: string): void {
  if (mayLeaveRoot(path, target)) {
    throw refused(path, `links to ${shown(target)}; allowed are links within what is built`);
  }
}

/** Refuses an entry of a source for what it is. */
export function refused(path: string, finding: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: ${shown(path)} ${finding}`, {
    hint: 'Take it out of the repository, or build a subdirectory without it.',
  });
}

function pathProblem(path: string): string | undefined {
  if (path.length > MAX_PATH_LENGTH) return `has a path of more than ${MAX_PATH_LENGTH} characters`;
  const names = path.split('/');
  if (names.some((name) => new TextEncoder().encode(name).length > MAX_NAME_BYTES)) {
    return `has a name of more than ${MAX_NAME_BYTES} bytes`;
  }
  if (names.some((name) => name === '' || name === '.' || name === '..')) return 'leaves the tree';
  // The second is how Windows spells the first.
  return names.some((name) => ['.git', 'git~1'].includes(name.toLowerCase())) ? 'is in a .git folder' : undefined;
}

/** How many folders of this path were not known, which then are. */
function newFolders(known: Set<string>, path: string): number {
  let count = 0;
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const folder = path.slice(0, end);
    if (known.has(folder)) break;
    known.add(folder);
    count += 1;
  }
  return count;
}

function tooMuch(finding: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `the source is too large: it has ${finding}`, {
    hint: 'Build a subdirectory, or take out of the repository what the build does not need.',
  });
}

function inMib(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}

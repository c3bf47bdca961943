import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** One entry of a tree that is made by hand. */
export interface MadeEntry {
  /** `100644`, `100755`, `120000` (link), `160000` (submodule, whose content is a commit id), `040000` (a tree id). */
  readonly mode?: string;
  readonly content: string | Buffer;
}

/** A bare repository whose objects are made one by one, so that it may hold what git itself would not put there. */
export interface TestRepository {
  readonly folder: string;
  /** Runs git in it and answers with what that prints. */
  git(args: readonly string[], input?: string | Buffer): string;
  /** Stores a tree of these entries; a name may have no slash. */
  tree(entries: Readonly<Record<string, MadeEntry | string>>): string;
  /** Commits files by their paths, on top of nothing or of a parent, and lets a ref point there. */
  commit(
    files: Readonly<Record<string, MadeEntry | string>>,
    options?: { ref?: string; parent?: string; message?: string },
  ): string;
  /** Commits a tree that was stored. */
  commitTree(tree: string, options?: { ref?: string; parent?: string; message?: string }): string;
}

/** Nothing of the machine's own settings, and fixed times, so the same files are the same commit. */
const ENVIRONMENT = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.test',
  GIT_AUTHOR_DATE: '1700000000 +0000',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.test',
  GIT_COMMITTER_DATE: '1700000000 +0000',
};

/** Makes an empty bare repository `root/name`. */
export function createTestRepository(root: string, name: string, format: 'sha1' | 'sha256' = 'sha1'): TestRepository {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  const git = (args: readonly string[], input: string | Buffer = ''): string =>
    execFileSync('git', [...args], { cwd: folder, env: ENVIRONMENT, input, stdio: ['pipe', 'pipe', 'pipe'] })
      .toString()
      .trim();
  git(['init', '--quiet', '--bare', '--initial-branch=main', `--object-format=${format}`, '.']);
  // Large files of tests are noise, which no work makes smaller.
  git(['config', 'core.compression', '0']);
  const blobs = new Map<string, string>();
  const store = (content: string | Buffer): string => {
    const known = typeof content === 'string' ? blobs.get(content) : undefined;
    const id = known ?? git(['hash-object', '-w', '--stdin'], content);
    if (typeof content === 'string') blobs.set(content, id);
    return id;
  };
  const tree: TestRepository['tree'] = (entries) => {
    const records = Object.entries(entries).map(([entryName, entry]) => {
      const { mode = '100644', content } = typeof entry === 'string' ? { content: entry } : entry;
      const isId = mode === '160000' || mode === '040000';
      const id = isId ? String(content) : store(content);
      return `${mode} ${mode === '040000' ? 'tree' : mode === '160000' ? 'commit' : 'blob'} ${id}\t${entryName}\0`;
    });
    return git(['mktree', '-z', '--missing'], records.join(''));
  };
  const commitTree: TestRepository['commitTree'] = (id, { ref = 'refs/heads/main', parent, message = 'test' } = {}) => {
    const commit = git(['commit-tree', id, '-m', message, ...(parent === undefined ? [] : ['-p', parent])]);
    git(['update-ref', ref, commit]);
    return commit;
  };
  return {
    folder,
    git,
    tree,
    commitTree,
    commit: (files, options) => commitTree(nestedTree(tree, files), options),
  };
}

/** Stores the trees of paths from the bottom up. */
function nestedTree(tree: TestRepository['tree'], files: Readonly<Record<string, MadeEntry | string>>): string {
  const entries: Record<string, MadeEntry | string> = {};
  const folders = new Map<string, Record<string, MadeEntry | string>>();
  for (const [path, entry] of Object.entries(files)) {
    const slash = path.indexOf('/');
    if (slash < 0) entries[path] = entry;
    else {
      const name = path.slice(0, slash);
      folders.set(name, { ...folders.get(name), [path.slice(slash + 1)]: entry });
    }
  }
  for (const [name, inside] of folders) entries[name] = { mode: '040000', content: nestedTree(tree, inside) };
  return tree(entries);
}

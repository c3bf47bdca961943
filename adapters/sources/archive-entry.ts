import { posix } from 'node:path';
import type { Header } from 'tar-stream';
import { DomainError } from '../../domain/errors.ts';
import { MAX_PATH_LENGTH, mayLeaveRoot } from '../../domain/link-target.ts';

/** Decides about the entries of one archive, in their order. */
export interface EntryCheck {
  /** @throws INVALID_ARGUMENT naming the entry, for one that may not be in a context. */
  check(header: Header): void;
}

/**
 * Creates the check of one archive: files, directories and links that stay within the root, and nothing else.
 *
 * Links are judged by their text, so nothing may be placed below one and no `..` may follow a name in a target: what
 * such a path leads to depends on the link, and text alone cannot tell. Readers of tar differ in what they take for
 * the data of an entry without any, so only files may have a size.
 */
export function createEntryCheck(): EntryCheck {
  const links = new Set<string>();
  return {
    check: (header) => {
      const refuse = (finding: string): never => {
        throw new DomainError('INVALID_ARGUMENT', `entry ${shown(header.name)}: ${finding}`, {
          field: 'chunk',
          hint: 'Leave this entry out of the context.',
        });
      };
      const name = header.name.replace(/\/+$/, '');
      const problem = pathProblem(name);
      if (problem && name !== '.') refuse(problem);
      const path = posix.normalize(name);
      if (ancestors(path).some((ancestor) => links.has(ancestor)))
        refuse('lies below a link; allowed are real folders');
      if (header.type !== 'file' && header.size) refuse('has data; allowed are data of files only');
      if (Object.keys(header.pax ?? {}).some((key) => key.startsWith('GNU.sparse'))) refuse('is a sparse file');
      checkType(header, path, refuse);
      if (header.type === 'symlink') links.add(path);
      else links.delete(path);
    },
  };
}

function checkType(header: Header, path: string, refuse: (finding: string) => never): void {
  const target = header.linkname ?? '';
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
    case 'directory':
      return;
    case 'symlink':
      if (mayLeaveRoot(path, target)) refuse(`links to ${shown(target)}; allowed are links within the context`);
      return;
    case 'link':
      if (pathProblem(target)) refuse(`links to ${shown(target)}; allowed are links within the context`);
      return;
    default:
      refuse(`is of type ${header.type ?? 'unknown'}; allowed are files, directories and links`);
  }
}

function pathProblem(path: string): string | undefined {
  if (path === '' || path.length > MAX_PATH_LENGTH) return 'has no usable name';
  if (path.startsWith('/')) return 'has an absolute path; allowed are relative ones';
  if (path.includes('\0')) return 'has a NUL in its name';
  return path.split('/').includes('..') ? 'leaves the root of the context' : undefined;
}

function ancestors(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

function shown(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}

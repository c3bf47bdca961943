/** Longest path that Linux takes. */
export const MAX_PATH_LENGTH = 4096;

/**
 * Whether a symbolic link at `path` (relative to a root, with slashes) may lead out of that root.
 *
 * Judged by the text alone, so a target may climb first and descend then, no further up than the root: what a `..`
 * behind a name leads to depends on whether that name is itself a link. It holds for a tree in which nothing lies below
 * a link.
 */
export function mayLeaveRoot(path: string, target: string): boolean {
  if (target === '' || target.length > MAX_PATH_LENGTH || target.startsWith('/') || target.includes('\0')) return true;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const climbs = parts.findIndex((part) => part !== '..');
  const up = climbs < 0 ? parts.length : climbs;
  return up > path.split('/').length - 1 || parts.slice(up).includes('..');
}

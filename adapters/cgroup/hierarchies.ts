import { join, relative } from 'node:path';

/** Where the kernel mounted a hierarchy, and which part of it. */
interface Mount {
  readonly mountPoint: string;
  /** Path within the hierarchy that is mounted here; `/` unless this is itself a container. */
  readonly root: string;
}

/** The mounted cgroup hierarchies of a host. Version 1, version 2 and both at once (hybrid) all occur. */
export interface Hierarchies {
  /** Mounts of version 1 by controller: `memory`, `cpuacct`… */
  readonly byController: ReadonlyMap<string, Mount>;
  /** The one of version 2; on a hybrid host it has no controllers. */
  readonly unified: Mount | undefined;
}

/** Reads `/proc/self/mountinfo` (proc(5)): fields 4 and 5 are root and mount point, after ` - ` come type and options. */
export function parseMountInfo(text: string): Hierarchies {
  const byController = new Map<string, Mount>();
  let unified: Mount | undefined;
  for (const line of text.split('\n')) {
    const [front = '', back = ''] = line.split(' - ');
    const [, , , root = '/', mountPoint = ''] = front.split(' ');
    const [type, , options = ''] = back.split(' ');
    const mount = { mountPoint: unescaped(mountPoint), root: unescaped(root) };
    if (type === 'cgroup2') unified ??= mount;
    if (type !== 'cgroup') continue;
    for (const option of options.split(',')) if (!byController.has(option)) byController.set(option, mount);
  }
  return { byController, unified };
}

/** Folders of one container, by version. */
export type ContainerFolders =
  | {
      readonly version: 1;
      /** Where it is missing, as with a kernel without CPU limits, nothing is ever throttled. */
      readonly cpu: string | undefined;
      readonly cpuacct: string;
      readonly memory: string;
      readonly blkio: string;
      readonly pids: string;
    }
  | { readonly version: 2; readonly unified: string };

/**
 * Finds a container's folders from `/proc/<pid>/cgroup` (cgroups(7)) of its first process.
 *
 * @returns `undefined` unless the container's id is in every path: a process id may have been given to another process
 * since Docker told it, and in a cgroup namespace of our own the paths mean something else.
 */
export function findFolders(
  hierarchies: Hierarchies,
  processCgroups: string,
  containerId: string,
): ContainerFolders | undefined {
  const paths = new Map<string, string>();
  for (const line of processCgroups.trimEnd().split('\n')) {
    const [, controllers = '', ...path] = line.split(':');
    for (const controller of controllers.split(',')) paths.set(controller, path.join(':'));
  }
  const folderOf = (controller: string, mount = hierarchies.byController.get(controller)): string | undefined => {
    const path = paths.get(controller);
    if (path === undefined || !mount || !path.includes(containerId) || path.includes('..')) return undefined;
    const inside = relative(mount.root, path);
    return inside.startsWith('..') ? undefined : join(mount.mountPoint, inside);
  };
  if (!hierarchies.byController.has('memory')) {
    const unified = folderOf('', hierarchies.unified);
    return unified === undefined ? undefined : { version: 2, unified };
  }
  const [cpuacct, memory, blkio, pids] = ['cpuacct', 'memory', 'blkio', 'pids'].map((name) => folderOf(name));
  if (!cpuacct || !memory || !blkio || !pids) return undefined;
  return { version: 1, cpu: folderOf('cpu'), cpuacct, memory, blkio, pids };
}

/** mountinfo writes space, tab, line feed and backslash as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

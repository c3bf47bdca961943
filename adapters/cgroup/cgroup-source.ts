import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MeteredContainer } from '../../domain/metrics/reading.ts';
import { type Clock, type Meter, type ReadingSource, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { type ContainerFiles, openContainerFiles } from './container-files.ts';
import { findFolders, type Hierarchies, parseMountInfo } from './hierarchies.ts';

/** Where the kernel's files are; others only in tests. */
export interface CgroupSourceOptions {
  readonly procFolder?: string;
  readonly clock?: Clock;
}

/**
 * Creates the fast way of reading: the kernel's own counter files, without asking Docker.
 *
 * It works on the node itself, for a process that sees the host's processes and may read their files; elsewhere `open`
 * answers `undefined` for every container.
 */
export function createCgroupSource({
  procFolder = '/proc',
  clock = SYSTEM_CLOCK,
}: CgroupSourceOptions = {}): ReadingSource {
  const hierarchies = readHierarchies(procFolder);
  return {
    open: (container) => {
      const files = hierarchies && openFiles(hierarchies, procFolder, container);
      return files && createMeter(container, files, clock);
    },
  };
}

/** Which version of cgroups counts memory on this host; `undefined` where none is mounted that can be read. */
export function findCgroupVersion(procFolder = '/proc'): 1 | 2 | undefined {
  const hierarchies = readHierarchies(procFolder);
  if (hierarchies?.byController.has('memory')) return 1;
  return hierarchies?.unified ? 2 : undefined;
}

function createMeter(container: MeteredContainer, files: ContainerFiles, clock: Clock): Meter {
  const run = { incarnation: container.startedAt, source: 'cgroup' } as const;
  return {
    read: () => {
      try {
        const [atMs, clockMs] = [clock.now(), clock.monotonic()];
        return { ...run, atMs, clockMs, ...files.read() };
      } catch (error) {
        if (codeOf(error) !== 'ENODEV') throw error;
        files.close();
        return undefined;
      }
    },
    close: files.close,
  };
}

function openFiles(
  hierarchies: Hierarchies,
  procFolder: string,
  { id, pid }: MeteredContainer,
): ContainerFiles | undefined {
  const processFolder = join(procFolder, String(pid));
  try {
    const folders = findFolders(hierarchies, readFileSync(join(processFolder, 'cgroup'), 'utf8'), id);
    return folders && openContainerFiles(folders, processFolder);
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EPERM', 'ESRCH', 'ENODEV'].includes(codeOf(error))) return undefined;
    throw error;
  }
}

function readHierarchies(procFolder: string): Hierarchies | undefined {
  try {
    return parseMountInfo(readFileSync(join(procFolder, 'self', 'mountinfo'), 'utf8'));
  } catch {
    // No such file outside Linux: the portable source does the work there.
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

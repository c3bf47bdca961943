import { join } from 'node:path';
import { sumInterfaces } from '../../domain/metrics/interfaces.ts';
import type { Counters, Reading } from '../../domain/metrics/reading.ts';
import { parseBlkio, parseIoStat, parseKey, parseLimit, parseNetDev } from './counter-files.ts';
import type { ContainerFolders } from './hierarchies.ts';
import { type KeptFile, openKeptFile } from './kept-file.ts';

/** What the files of a container say at one moment. */
export type FileReading = Pick<
  Reading,
  'counters' | 'interfaces' | 'memoryBytes' | 'memoryLimitBytes' | 'pageCacheBytes' | 'pids'
>;

/** The open files of one container. */
export interface ContainerFiles {
  /** @throws ENODEV once the container has ended, for ever. */
  read(): FileReading;
  close(): void;
}

type NetworkName = Extract<keyof Counters, `network${string}`>;

interface Usage extends Omit<FileReading, 'counters' | 'interfaces'> {
  readonly counters: Omit<Counters, NetworkName>;
}

const NANOS_PER_MICRO = 1000;

/** `cpuacct.stat` counts in USER_HZ, which is 100 a second on every architecture that Docker runs on. */
const NANOS_PER_TICK = 10_000_000;

/**
 * Opens a container's counter files once.
 *
 * @throws ENOENT or EACCES when they cannot be read here; nothing stays open then.
 */
export function openContainerFiles(folders: ContainerFolders, processFolder: string): ContainerFiles {
  const opened: KeptFile[] = [];
  const open = (...paths: readonly [string, ...string[]]): KeptFile => {
    const file = openKeptFile(...paths);
    opened.push(file);
    return file;
  };
  const close = (): void => {
    for (const file of opened) file.close();
  };
  try {
    const readUsage = folders.version === 1 ? openVersion1(folders, open) : openVersion2(folders.unified, open);
    const netDev = open(join(processFolder, 'net', 'dev'));
    return { read: () => withNetwork(readUsage(), netDev.read()), close };
  } catch (error) {
    close();
    throw error;
  }
}

type Open = (...paths: readonly [string, ...string[]]) => KeptFile;

function openVersion1(folders: ContainerFolders & { version: 1 }, open: Open): () => Usage {
  const blkio = (name: string): KeptFile =>
    open(join(folders.blkio, `blkio.throttle.${name}_recursive`), join(folders.blkio, `blkio.throttle.${name}`));
  const cpu = open(join(folders.cpuacct, 'cpuacct.usage'));
  const ticks = open(join(folders.cpuacct, 'cpuacct.stat'));
  const throttling = folders.cpu === undefined ? undefined : open(join(folders.cpu, 'cpu.stat'));
  const memory = open(join(folders.memory, 'memory.usage_in_bytes'));
  const memoryStat = open(join(folders.memory, 'memory.stat'));
  const limit = open(join(folders.memory, 'memory.limit_in_bytes'));
  const oom = open(join(folders.memory, 'memory.oom_control'));
  const [bytes, operations] = [blkio('io_service_bytes'), blkio('io_serviced')];
  const pids = open(join(folders.pids, 'pids.current'));
  return () => {
    const [ran, usage, cache] = [ticks.read(), memory.read(), memoryStat.read()];
    const [disk, diskOperations] = [parseBlkio(bytes.read()), parseBlkio(operations.read())];
    return {
      counters: {
        cpuNanos: Number(cpu.read()),
        cpuUserNanos: parseKey(ran, 'user') * NANOS_PER_TICK,
        cpuSystemNanos: parseKey(ran, 'system') * NANOS_PER_TICK,
        cpuThrottledNanos: throttling ? parseKey(throttling.read(), 'throttled_time') : 0,
        diskReadBytes: disk.read,
        diskWriteBytes: disk.write,
        diskReadOperations: diskOperations.read,
        diskWriteOperations: diskOperations.write,
        oomKills: parseKey(oom.read(), 'oom_kill'),
      },
      memoryBytes: workingSet(usage, parseKey(cache, 'total_inactive_file')),
      memoryLimitBytes: parseLimit(limit.read()),
      pageCacheBytes: parseKey(cache, 'total_cache'),
      pids: Number(pids.read()),
    };
  };
}

function openVersion2(folder: string, open: Open): () => Usage {
  const cpu = open(join(folder, 'cpu.stat'));
  const memory = open(join(folder, 'memory.current'));
  const memoryStat = open(join(folder, 'memory.stat'));
  const limit = open(join(folder, 'memory.max'));
  const events = open(join(folder, 'memory.events'));
  const io = open(join(folder, 'io.stat'));
  const pids = open(join(folder, 'pids.current'));
  return () => {
    const [ran, usage, cache] = [cpu.read(), memory.read(), memoryStat.read()];
    const disk = parseIoStat(io.read());
    return {
      counters: {
        cpuNanos: parseKey(ran, 'usage_usec') * NANOS_PER_MICRO,
        cpuUserNanos: parseKey(ran, 'user_usec') * NANOS_PER_MICRO,
        cpuSystemNanos: parseKey(ran, 'system_usec') * NANOS_PER_MICRO,
        cpuThrottledNanos: parseKey(ran, 'throttled_usec') * NANOS_PER_MICRO,
        diskReadBytes: disk.bytes.read,
        diskWriteBytes: disk.bytes.write,
        diskReadOperations: disk.operations.read,
        diskWriteOperations: disk.operations.write,
        oomKills: parseKey(events.read(), 'oom_kill'),
      },
      memoryBytes: workingSet(usage, parseKey(cache, 'inactive_file')),
      memoryLimitBytes: parseLimit(limit.read()),
      pageCacheBytes: parseKey(cache, 'file'),
      pids: Number(pids.read()),
    };
  };
}

/** The file cache may have grown between the two reads, so it can exceed the usage. */
function workingSet(usage: string, inactiveFileBytes: number): number {
  return Math.max(0, Number(usage) - inactiveFileBytes);
}

function withNetwork(usage: Usage, netDev: string): FileReading {
  const interfaces = parseNetDev(netDev);
  return { ...usage, counters: { ...usage.counters, ...sumInterfaces(interfaces) }, interfaces };
}

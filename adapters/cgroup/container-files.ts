import { join } from 'node:path';
import type { Counters, Reading } from '../../domain/metrics/reading.ts';
import { parseBlkio, parseIoStat, parseKey, parseLimit, parseNetDev } from './counter-files.ts';
import type { ContainerFolders } from './hierarchies.ts';
import { type KeptFile, openKeptFile } from './kept-file.ts';

/** What the files of a container say at one moment. */
export type FileReading = Pick<Reading, 'counters' | 'memoryBytes' | 'memoryLimitBytes' | 'pids'>;

/** The open files of one container. */
export interface ContainerFiles {
  /** @throws ENODEV once the container has ended, for ever. */
  read(): FileReading;
  close(): void;
}

interface Usage extends Omit<FileReading, 'counters'> {
  readonly counters: Omit<Counters, 'networkReceiveBytes' | 'networkTransmitBytes'>;
}

const NANOS_PER_MICRO = 1000;

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
  const cpu = open(join(folders.cpuacct, 'cpuacct.usage'));
  const memory = open(join(folders.memory, 'memory.usage_in_bytes'));
  const memoryStat = open(join(folders.memory, 'memory.stat'));
  const limit = open(join(folders.memory, 'memory.limit_in_bytes'));
  const blkio = open(
    join(folders.blkio, 'blkio.throttle.io_service_bytes_recursive'),
    join(folders.blkio, 'blkio.throttle.io_service_bytes'),
  );
  const pids = open(join(folders.pids, 'pids.current'));
  return () => {
    const cpuNanos = Number(cpu.read());
    const disk = parseBlkio(blkio.read());
    return {
      counters: { cpuNanos, diskReadBytes: disk.readBytes, diskWriteBytes: disk.writeBytes },
      memoryBytes: workingSet(memory.read(), parseKey(memoryStat.read(), 'total_inactive_file')),
      memoryLimitBytes: parseLimit(limit.read()),
      pids: Number(pids.read()),
    };
  };
}

function openVersion2(folder: string, open: Open): () => Usage {
  const cpu = open(join(folder, 'cpu.stat'));
  const memory = open(join(folder, 'memory.current'));
  const memoryStat = open(join(folder, 'memory.stat'));
  const limit = open(join(folder, 'memory.max'));
  const io = open(join(folder, 'io.stat'));
  const pids = open(join(folder, 'pids.current'));
  return () => {
    const cpuNanos = parseKey(cpu.read(), 'usage_usec') * NANOS_PER_MICRO;
    const disk = parseIoStat(io.read());
    return {
      counters: { cpuNanos, diskReadBytes: disk.readBytes, diskWriteBytes: disk.writeBytes },
      memoryBytes: workingSet(memory.read(), parseKey(memoryStat.read(), 'inactive_file')),
      memoryLimitBytes: parseLimit(limit.read()),
      pids: Number(pids.read()),
    };
  };
}

/** The file cache may have grown between the two reads, so it can exceed the usage. */
function workingSet(usage: string, inactiveFileBytes: number): number {
  return Math.max(0, Number(usage) - inactiveFileBytes);
}

function withNetwork(usage: Usage, netDev: string): FileReading {
  const { receiveBytes, transmitBytes } = parseNetDev(netDev);
  const counters = { ...usage.counters, networkReceiveBytes: receiveBytes, networkTransmitBytes: transmitBytes };
  return { ...usage, counters };
}

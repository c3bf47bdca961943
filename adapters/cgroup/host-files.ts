import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeReading } from '../../domain/metrics/node-minutes.ts';
import { type Clock, type NodeSource, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { type KeptFile, openKeptFile } from './kept-file.ts';

/** Where the host's files are; others only in tests. */
export interface HostFilesOptions {
  readonly procFolder?: string;
  readonly clock?: Clock;
  /** A folder on the disk that holds Docker's data. @throws while that is not known. */
  readonly dockerFolder: () => Promise<string>;
}

/** `/proc/stat` counts in USER_HZ, a hundred a second. */
const NANOS_PER_TICK = 10_000_000;

const BYTES_PER_KIB = 1024;

/**
 * Creates the way of reading the whole host: `/proc/stat`, `meminfo`, `loadavg`, `pressure/*` and the file system of Docker's
 * data. In a container `/proc` shows the host's totals as well.
 *
 * The disk is asked beside the rest: one that hangs keeps its last figures, and nobody waits for it.
 */
export function createHostSource({
  procFolder = '/proc',
  clock = SYSTEM_CLOCK,
  dockerFolder,
}: HostFilesOptions): NodeSource {
  const open = (...names: readonly [string, ...string[]]): KeptFile => openKeptFile(join(procFolder, ...names));
  const incarnation = readFileSync(join(procFolder, 'sys', 'kernel', 'random', 'boot_id'), 'utf8').trim();
  const [stat, memory, load] = [open('stat'), open('meminfo'), open('loadavg')];
  const [cpuPressure, memoryPressure, ioPressure] = ['cpu', 'memory', 'io'].map((name) => openPressure(open, name));
  const disk = followDisk(dockerFolder);
  return {
    read: (): NodeReading => {
      const meminfo = memory.read();
      const totalBytes = parseMemory(meminfo, 'MemTotal');
      return {
        incarnation,
        atMs: clock.now(),
        counters: {
          ...parseCpu(stat.read()),
          pressureCpuMicros: cpuPressure?.() ?? null,
          pressureMemoryMicros: memoryPressure?.() ?? null,
          pressureIoMicros: ioPressure?.() ?? null,
        },
        memoryUsedBytes: totalBytes - parseMemory(meminfo, 'MemAvailable'),
        memoryTotalBytes: totalBytes,
        ...disk(),
        load1Hundredths: Math.round(Number(load.read().split(' ', 1)[0]) * 100),
      };
    },
    close: () => {
      for (const file of [stat, memory, load]) file.close();
      for (const pressure of [cpuPressure, memoryPressure, ioPressure]) pressure?.close();
    },
  };
}

/** First line of `/proc/stat`: user nice system idle iowait irq softirq steal, and guest times that are in user already. */
export function parseCpu(text: string): { readonly cpuBusyNanos: number; readonly cpuTotalNanos: number } {
  const ticks = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const [, , , idle = 0, waiting = 0] = ticks;
  return { cpuBusyNanos: (total - idle - waiting) * NANOS_PER_TICK, cpuTotalNanos: total * NANOS_PER_TICK };
}

/** A line of `/proc/meminfo`: `MemTotal:       24663416 kB`. */
function parseMemory(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * BYTES_PER_KIB;
}

interface Pressure {
  (): number | null;
  close(): void;
}

/** Pressure files of a kernel may be missing, or there and refuse to be read when PSI is switched off. */
function openPressure(open: (...names: [string, string]) => KeptFile, name: string): Pressure | undefined {
  try {
    const file = open('pressure', name);
    const read = (): number | null => {
      const [, total] = /^some .*total=(\d+)/m.exec(file.read()) ?? [];
      return total === undefined ? null : Number(total);
    };
    read();
    return Object.assign(read, { close: file.close });
  } catch {
    // This kernel does not count pressure, and the row says so by null.
    return undefined;
  }
}

/** Answers with what the newest look found, and begins the next one. */
function followDisk(dockerFolder: () => Promise<string>): () => Pick<NodeReading, 'diskUsedBytes' | 'diskTotalBytes'> {
  let found = { diskUsedBytes: 0, diskTotalBytes: 0 };
  let isLooking = false;
  const look = async (): Promise<void> => {
    const folder = await dockerFolder();
    // In a container of that daemon the folder is not there; its `/` is on the same disk.
    const { bavail, bfree, blocks, bsize } = await statfs(folder).catch(() => statfs('/'));
    // As `df` counts: what is kept for root is neither used nor there.
    found = { diskUsedBytes: (blocks - bfree) * bsize, diskTotalBytes: (blocks - bfree + bavail) * bsize };
  };
  const begin = (): void => {
    if (isLooking) return;
    isLooking = true;
    look()
      // Docker is away and has not told its folder yet: the next round asks again.
      .catch(() => undefined)
      .finally(() => {
        isLooking = false;
      });
  };
  begin();
  return () => {
    begin();
    return found;
  };
}

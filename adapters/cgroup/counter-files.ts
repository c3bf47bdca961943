import type { InterfaceCounts } from '../../domain/metrics/reading.ts';

/** A limit: "max", and anything beyond what a host can have (version 1 writes 2^63 less a page), give 0. */
export function parseLimit(text: string): number {
  const value = Number(text.trim());
  return Number.isSafeInteger(value) ? value : 0;
}

/** Value of a key in a file of `key value` lines (memory.stat, cpu.stat); 0 when it is not there. */
export function parseKey(text: string, key: string): number {
  const start = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (start === 0 && !text.startsWith(`${key} `)) return 0;
  const end = text.indexOf('\n', start);
  return Number(text.slice(start + key.length + 1, end === -1 ? undefined : end));
}

/** What was done with disks: bytes, or operations. */
export interface DiskCounts {
  readonly read: number;
  readonly write: number;
}

/** Sums a `blkio.throttle.io_…` file of version 1: lines `8:0 Read 4096`. */
export function parseBlkio(text: string): DiskCounts {
  let [read, write] = [0, 0];
  for (const line of text.split('\n')) {
    const [, kind, count] = line.split(' ');
    if (kind === 'Read') read += Number(count);
    else if (kind === 'Write') write += Number(count);
  }
  return { read, write };
}

/** Sums `io.stat` of version 2: lines `8:0 rbytes=4096 wbytes=0 rios=1 …`. Empty until the first I/O. */
export function parseIoStat(text: string): { readonly bytes: DiskCounts; readonly operations: DiskCounts } {
  const sum = { rbytes: 0, wbytes: 0, rios: 0, wios: 0 };
  for (const word of text.split(/\s+/)) {
    const [name = '', count] = word.split('=');
    if (name in sum) sum[name as keyof typeof sum] += Number(count);
  }
  return { bytes: { read: sum.rbytes, write: sum.wbytes }, operations: { read: sum.rios, write: sum.wios } };
}

/** Reads `/proc/<pid>/net/dev` by interface, without loopback: after the name come 8 columns received, then 8 sent. */
export function parseNetDev(text: string): Record<string, InterfaceCounts> {
  const found: Record<string, InterfaceCounts> = {};
  for (const line of text.split('\n')) {
    const [name = '', numbers] = line.split(':');
    if (numbers === undefined || name.trim() === 'lo') continue;
    const columns = numbers.trim().split(/\s+/, 10).map(Number);
    const [receiveBytes = 0, receivePackets = 0] = columns;
    const [transmitBytes = 0, transmitPackets = 0] = columns.slice(8);
    found[name.trim()] = { receiveBytes, receivePackets, transmitBytes, transmitPackets };
  }
  return found;
}

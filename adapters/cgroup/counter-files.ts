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

/** Bytes read and written. */
export interface DiskBytes {
  readonly readBytes: number;
  readonly writeBytes: number;
}

/** Sums `blkio.throttle.io_service_bytes` of version 1: lines `8:0 Read 4096`. */
export function parseBlkio(text: string): DiskBytes {
  return sumDisk(text, (line) => {
    const [, kind, bytes] = line.split(' ');
    return { readBytes: kind === 'Read' ? Number(bytes) : 0, writeBytes: kind === 'Write' ? Number(bytes) : 0 };
  });
}

/** Sums `io.stat` of version 2: lines `8:0 rbytes=4096 wbytes=0 …`. Empty until the first I/O. */
export function parseIoStat(text: string): DiskBytes {
  return sumDisk(text, (line) => ({
    readBytes: Number(/ rbytes=(\d+)/.exec(line)?.[1] ?? 0),
    writeBytes: Number(/ wbytes=(\d+)/.exec(line)?.[1] ?? 0),
  }));
}

/** Sums `/proc/<pid>/net/dev` without loopback: after the name come 8 columns received, then 8 sent, bytes first. */
export function parseNetDev(text: string): { readonly receiveBytes: number; readonly transmitBytes: number } {
  let [receiveBytes, transmitBytes] = [0, 0];
  for (const line of text.split('\n')) {
    const [name = '', numbers] = line.split(':');
    if (numbers === undefined || name.trim() === 'lo') continue;
    const columns = numbers.trim().split(/\s+/);
    receiveBytes += Number(columns[0]);
    transmitBytes += Number(columns[8]);
  }
  return { receiveBytes, transmitBytes };
}

function sumDisk(text: string, parseLine: (line: string) => DiskBytes): DiskBytes {
  return text
    .split('\n')
    .map(parseLine)
    .reduce((sum, { readBytes, writeBytes }) => ({
      readBytes: sum.readBytes + readBytes,
      writeBytes: sum.writeBytes + writeBytes,
    }));
}

import { closeSync, openSync, readSync } from 'node:fs';

/** Large enough for most of these files; a larger one makes it grow. Shared, since a read is over before the next begins. */
let buffer = Buffer.alloc(16 * 1024);

/** Far beyond any of these files: what is longer is not what we take it for. */
const LONGEST_FILE = 1024 * 1024;

/**
 * A file of the kernel's that is kept open and read again from its start.
 *
 * Reads are synchronous: one takes about a microsecond and never waits for a disk, so handing it to a thread would cost
 * more than it does.
 */
export interface KeptFile {
  /** @throws ENODEV once the cgroup is gone, for ever. */
  read(): string;
  close(): void;
}

/** Opens the first of these files that exists. @throws ENOENT when none does. */
export function openKeptFile(...paths: readonly [string, ...string[]]): KeptFile {
  let descriptor: number | undefined = openFirst(paths);
  return {
    read: () => {
      if (descriptor === undefined) throw new Error('the file has been closed');
      return readWhole(descriptor);
    },
    close: () => {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

function openFirst(paths: readonly string[]): number {
  for (const path of paths.slice(0, -1)) {
    try {
      return openSync(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return openSync(paths.at(-1) ?? '', 'r');
}

/**
 * The kernel hands such a file out by the page, so less than half of one is all there is: asking for the rest would double
 * the calls. Only a longer answer may go on.
 */
const WHOLE_BELOW = 2_048;

function readWhole(descriptor: number): string {
  let length = 0;
  for (;;) {
    if (length === buffer.length) grow();
    const read = readSync(descriptor, buffer, length, buffer.length - length, length);
    length += read;
    if (read < WHOLE_BELOW) return buffer.toString('latin1', 0, length);
  }
}

function grow(): void {
  if (buffer.length >= LONGEST_FILE) throw new Error(`a counter file is longer than ${LONGEST_FILE} bytes`);
  const larger = Buffer.alloc(buffer.length * 2);
  buffer.copy(larger);
  buffer = larger;
}

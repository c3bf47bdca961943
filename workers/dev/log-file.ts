import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
} from 'node:fs';

/** A log is turned over at this size; with three kept ones a process has 40 MiB at most, plus 5 s of writing. */
const MAX_BYTES = 10 * 1024 * 1024;
const KEPT = 3;

/** As much of the end is read for the last lines. */
const TAIL_BYTES = 16 * 1024;

/** The log of one process. */
export interface LogFile {
  readonly path: string;
  /** Opens it for a child's output; close it after the start. */
  open(): number;
  /** Turns it over when it has grown too large. */
  rotate(): void;
  /** Its last lines. */
  tail(lines: number): string[];
}

/**
 * A log file that a child writes to by itself.
 *
 * Children have the file and not a pipe, so they outlive a supervisor that is killed. Therefore a full log is copied
 * and cut, not renamed: the child appends, and goes on at the start. Lines written within the copy may be lost.
 */
export function createLogFile(path: string, maxBytes = MAX_BYTES): LogFile {
  return {
    path,
    open: () => openSync(path, 'a', 0o600),
    rotate: () => {
      if (!existsSync(path) || statSync(path).size <= maxBytes) return;
      for (let number = KEPT - 1; number >= 1; number -= 1) {
        if (existsSync(`${path}.${number}`)) renameSync(`${path}.${number}`, `${path}.${number + 1}`);
      }
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
    },
    tail: (lines) => (existsSync(path) ? readTail(path).trimEnd().split('\n').slice(-lines) : []),
  };
}

function readTail(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, TAIL_BYTES);
    const buffer = Buffer.alloc(length);
    const read = readSync(file, buffer, 0, length, size - length);
    return buffer.subarray(0, read).toString();
  } finally {
    closeSync(file);
  }
}

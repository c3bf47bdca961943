/** OIDs of PostgreSQL's element types, which an array carries with it. */
const INT8 = 20;
const INT4 = 23;
const TIMESTAMPTZ = 1184;

const HEADER_BYTES = 20;
const NULL_LENGTH = 0xffffffff;

/** PostgreSQL counts microseconds from 2000. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const MICROS_PER_MS = 1_000;

const HIGH = 2 ** 32;

/**
 * Arrays in PostgreSQL's binary format: a third of the time of their text, on both sides. The driver sends a Buffer as it
 * is, and the server takes the type from the parameter of the function that is called.
 */
export function bigints(values: readonly (number | null)[]): Buffer {
  const present = values.reduce<number>((count, value) => count + (value === null ? 0 : 1), 0);
  const buffer = begin(INT8, values.length, present * 8, present < values.length);
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      at = buffer.writeUInt32BE(NULL_LENGTH, at);
    } else {
      at = buffer.writeUInt32BE(8, at);
      at = writeInt8(buffer, value, at);
    }
  }
  return buffer;
}

/** Moments, milliseconds since 1970, as an array of `timestamptz`. */
export function timestamps(valuesMs: readonly number[]): Buffer {
  const buffer = begin(TIMESTAMPTZ, valuesMs.length, valuesMs.length * 8, false);
  let at = HEADER_BYTES;
  for (const ms of valuesMs) {
    at = buffer.writeUInt32BE(8, at);
    at = writeInt8(buffer, (ms - EPOCH_MS) * MICROS_PER_MS, at);
  }
  return buffer;
}

/** Numbers of 32 bits. */
export function integers(values: readonly number[]): Buffer {
  const buffer = begin(INT4, values.length, values.length * 4, false);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = buffer.writeUInt32BE(4, at);
    at = buffer.writeInt32BE(value, at);
  }
  return buffer;
}

/** Whole numbers up to 2^53 either way: two halves are written several times faster than one BigInt. */
function writeInt8(buffer: Buffer, value: number, at: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number that can be kept exactly`);
  const high = Math.floor(value / HIGH);
  buffer.writeInt32BE(high, at);
  return buffer.writeUInt32BE(value - high * HIGH, at + 4);
}

/** One dimension that begins at 1; each element then has its length before it. */
function begin(type: number, length: number, dataBytes: number, hasNulls: boolean): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + 4 * length + dataBytes);
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(hasNulls ? 1 : 0, 4);
  buffer.writeInt32BE(type, 8);
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
  return buffer;
}

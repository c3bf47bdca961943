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
  let nulls = 0;
  for (const value of values) if (value === null) nulls += 1;
  const { buffer, view } = begin(INT8, values.length, (values.length - nulls) * 8, nulls > 0);
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      view.setUint32(at, NULL_LENGTH);
      at += 4;
    } else {
      at = setInt8(view, value, at);
    }
  }
  return buffer;
}

/** Moments, milliseconds since 1970, as an array of `timestamptz`. */
export function timestamps(valuesMs: readonly number[]): Buffer {
  const { buffer, view } = begin(TIMESTAMPTZ, valuesMs.length, valuesMs.length * 8, false);
  let at = HEADER_BYTES;
  for (const ms of valuesMs) at = setInt8(view, (ms - EPOCH_MS) * MICROS_PER_MS, at);
  return buffer;
}

/** Numbers of 32 bits. */
export function integers(values: readonly number[]): Buffer {
  const { buffer, view } = begin(INT4, values.length, values.length * 4, false);
  let at = HEADER_BYTES;
  for (const value of values) {
    view.setUint32(at, 4);
    view.setInt32(at + 4, value);
    at += 8;
  }
  return buffer;
}

/** A length and a whole number up to 2^53 either way: two halves are written several times faster than one BigInt. */
function setInt8(view: DataView, value: number, at: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number that can be kept exactly`);
  const high = Math.floor(value / HIGH);
  view.setUint32(at, 8);
  view.setInt32(at + 4, high);
  view.setUint32(at + 8, value - high * HIGH);
  return at + 12;
}

/** One dimension that begins at 1; each element then has its length before it. */
function begin(type: number, length: number, dataBytes: number, hasNulls: boolean) {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + 4 * length + dataBytes);
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  for (const [index, value] of [1, hasNulls ? 1 : 0, type, length, 1].entries()) view.setInt32(4 * index, value);
  return { buffer, view };
}

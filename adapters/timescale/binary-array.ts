import { endianness } from 'node:os';

/** OIDs of PostgreSQL's element types, which an array carries with it. */
const INT8 = 20;
const INT4 = 23;
const TIMESTAMPTZ = 1184;

const HEADER_WORDS = 5;
const NULL_LENGTH = 0xffffffff;

/** PostgreSQL counts microseconds from 2000. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const MICROS_PER_MS = 1_000;

const HIGH = 2 ** 32;

/** All of an array is words of 32 bits with the high byte first: turning them round at the end is several times faster. */
const IS_TO_TURN = endianness() === 'LE';

/**
 * Arrays in PostgreSQL's binary format: a third of the time of their text, on both sides. The driver sends a Buffer as it
 * is, and the server takes the type from the parameter of the function that is called.
 */
export function bigints(values: readonly (number | null)[]): Buffer {
  let nulls = 0;
  for (const value of values) if (value === null) nulls += 1;
  const words = begin(INT8, values.length, 3 * (values.length - nulls) + nulls, nulls > 0);
  let at = HEADER_WORDS;
  for (const value of values) {
    if (value === null) {
      words[at] = NULL_LENGTH;
      at += 1;
    } else {
      at = setInt8(words, value, at);
    }
  }
  return toBytes(words);
}

/** Moments, milliseconds since 1970, as an array of `timestamptz`. */
export function timestamps(valuesMs: readonly number[]): Buffer {
  const words = begin(TIMESTAMPTZ, valuesMs.length, 3 * valuesMs.length, false);
  let at = HEADER_WORDS;
  for (const ms of valuesMs) at = setInt8(words, (ms - EPOCH_MS) * MICROS_PER_MS, at);
  return toBytes(words);
}

/** Numbers of 32 bits. */
export function integers(values: readonly number[]): Buffer {
  const words = begin(INT4, values.length, 2 * values.length, false);
  let at = HEADER_WORDS;
  for (const value of values) {
    words[at] = 4;
    words[at + 1] = value;
    at += 2;
  }
  return toBytes(words);
}

/** A length and a whole number up to 2^53 either way, in halves. */
function setInt8(words: Uint32Array, value: number, at: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number that can be kept exactly`);
  const high = Math.floor(value / HIGH);
  words[at] = 8;
  words[at + 1] = high;
  words[at + 2] = value - high * HIGH;
  return at + 3;
}

/** One dimension that begins at 1; each element then has its length before it. */
function begin(type: number, length: number, elementWords: number, hasNulls: boolean): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(HEADER_WORDS + elementWords);
  words.set([1, hasNulls ? 1 : 0, type, length, 1]);
  return words;
}

function toBytes(words: Uint32Array<ArrayBuffer>): Buffer {
  const bytes = Buffer.from(words.buffer);
  return IS_TO_TURN ? bytes.swap32() : bytes;
}

import { plainText } from './plain-text.ts';

/**
 * What is kept of one build's output: its beginning, where builds say what they are, and its end, where they say what
 * went wrong. Half of the whole each. 10 MiB and 100,000 lines are far beyond what a person reads, and little enough
 * that a thousand full logs fit on an ordinary disk.
 */
export const KEPT_LOG = {
  head: { bytes: 5 * 1024 * 1024, lines: 50_000 },
  tail: { bytes: 5 * 1024 * 1024, lines: 50_000 },
} as const;

/** Longest line that is kept, bytes of UTF-8. */
export const LONGEST_LINE_BYTES = 8 * 1024;

/** What is held of a line before it is masked and cut: a value of 64 KiB that begins in its kept part is in it whole. */
const HELD_LINE_CHARACTERS = LONGEST_LINE_BYTES + 64 * 1024;

const CUT = ' … (the rest of this line is left out)';

/** Splits a build's output into lines. */
export interface LineSplitter {
  /** Takes the next piece. @returns the lines that end in it. */
  push(piece: string): string[];
  /** Ends a line that has begun. @returns it, if there is one. */
  flush(): string[];
}

/**
 * Creates a splitter. Of a line without an end it holds its beginning only, however long it gets.
 *
 * A carriage return starts its line over, as on a terminal: of a progress bar the last state is a line.
 */
export function createLineSplitter(): LineSplitter {
  let held = '';
  let hasBegun = false;
  let startsOver = false;

  const append = (text: string): void => {
    if (text === '') return;
    if (startsOver) held = '';
    startsOver = text.endsWith('\r');
    const body = startsOver ? text.slice(0, -1) : text;
    const from = body.lastIndexOf('\r') + 1;
    if (from > 0) held = '';
    if (held.length < HELD_LINE_CHARACTERS) held = (held + body.slice(from)).slice(0, HELD_LINE_CHARACTERS);
    hasBegun = true;
  };
  const end = (): string => {
    const line = held;
    held = '';
    hasBegun = false;
    startsOver = false;
    return line;
  };
  return {
    push: (piece) => {
      const parts = piece.split('\n');
      const rest = parts.pop() ?? '';
      const lines = parts.map((part) => {
        append(part);
        return end();
      });
      append(rest);
      return lines;
    },
    flush: () => (hasBegun ? [end()] : []),
  };
}

/**
 * A line as it is kept: harmless on a terminal, without the values that `mask` blanks, at most 8 KiB.
 *
 * Cleaned before it is masked, so that no escape sequence hides a value, and cut last, so that no value is cut into
 * something that no longer looks like itself.
 */
export function toKeptLine(raw: string, mask: (text: string) => string): string {
  const text = mask(plainText(raw.toWellFormed()));
  const isWhole = raw.length < HELD_LINE_CHARACTERS && fits(text, LONGEST_LINE_BYTES) === text.length;
  return isWhole ? text : `${text.slice(0, fits(text, LONGEST_LINE_BYTES - CUT.length - 2))}${CUT}`;
}

/** How many of a text's characters fit into so many bytes of UTF-8. */
function fits(text: string, bytes: number): number {
  if (text.length * 3 <= bytes) return text.length;
  return new TextEncoder().encodeInto(text, new Uint8Array(bytes)).read;
}

/** A line that waits to be sent. */
export interface OutgoingLine {
  /** When it was printed, milliseconds since 1970. */
  readonly atMs: number;
  /** As the build printed it. */
  readonly raw: string;
}

/** Lines to be sent one after the other; the first has this number, counted from 1 over all that were ever put in. */
export interface Batch {
  readonly firstNumber: number;
  readonly lines: readonly OutgoingLine[];
}

/** Lines that wait to be sent, within a bound. */
export interface OutgoingLines {
  /** Adds a line; the oldest make room for it, and their numbers are given to nobody else. */
  push(line: OutgoingLine): void;
  /** Takes the oldest lines, as many as fit into the bounds but at least one if there is any. */
  take(bounds: { readonly characters: number; readonly lines: number }): Batch;
  /** Characters that wait. */
  characters(): number;
  size(): number;
}

/** Creates a queue that never holds more than the bounds, whatever is pushed into it. */
export function createOutgoingLines(bounds: { readonly characters: number; readonly lines: number }): OutgoingLines {
  let queue: OutgoingLine[] = [];
  let begin = 0;
  let firstNumber = 1;
  let characters = 0;

  const shift = (): void => {
    characters -= queue[begin]?.raw.length ?? 0;
    begin += 1;
    firstNumber += 1;
    // What was taken is let go of in large parts: shifting an array of a hundred thousand one by one is slow.
    if (begin < 1_024 || begin * 2 < queue.length) return;
    queue = queue.slice(begin);
    begin = 0;
  };
  const size = (): number => queue.length - begin;
  return {
    push: (line) => {
      queue.push(line);
      characters += line.raw.length;
      while (size() > 1 && (characters > bounds.characters || size() > bounds.lines)) shift();
    },
    take: (most) => {
      const batch = { firstNumber, lines: [] as OutgoingLine[] };
      let taken = 0;
      for (let next = queue[begin]; next; next = queue[begin]) {
        taken += next.raw.length;
        if (batch.lines.length > 0 && (taken > most.characters || batch.lines.length >= most.lines)) break;
        batch.lines.push(next);
        shift();
      }
      return batch;
    },
    characters: () => characters,
    size,
  };
}

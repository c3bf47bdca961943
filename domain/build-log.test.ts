import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLineSplitter, createOutgoingLines, LONGEST_LINE_BYTES, toKeptLine } from './build-log.ts';
import { createMask } from './mask-values.ts';

const plain = (text: string): string => text;

function split(...pieces: string[]): string[] {
  const splitter = createLineSplitter();
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.flush()];
}

describe('the splitter', () => {
  it('gives the same lines in whatever pieces they arrive', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r', 'ü') });
    fc.assert(
      fc.property(text, fc.array(fc.nat(8)), (whole, lengths) => {
        const pieces: string[] = [];
        let from = 0;
        for (const length of lengths) {
          pieces.push(whole.slice(from, from + length));
          from += length;
        }
        expect(split(...pieces, whole.slice(from))).toEqual(split(whole));
      }),
    );
  });

  it.each([
    ['one\ntwo\n', ['one', 'two']],
    ['one\n\nthree', ['one', '', 'three']],
    ['of windows\r\n', ['of windows']],
    ['10 %\r50 %\r100 %\n', ['100 %']],
    ['10 %\r100 %\r\n', ['100 %']],
    ['', []],
  ])('splits %j', (text, lines) => {
    expect(split(text)).toEqual(lines);
  });

  it('holds the beginning only of a line that never ends', () => {
    const splitter = createLineSplitter();
    const piece = 'x'.repeat(32 * 1024);
    for (let count = 0; count < 10_000; count += 1) splitter.push(piece);
    const [line = '', ...others] = splitter.push('\nnext');
    expect(others).toEqual([]);
    expect(line.length).toBeLessThan(100 * 1024);
    expect(splitter.flush()).toEqual(['next']);
  });
});

describe('a kept line', () => {
  it('holds nothing that a terminal obeys', () => {
    expect(toKeptLine('\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07 back\b \u202eright', plain)).toBe(
      'red bell␇ back␈ \ufffdright',
    );
  });

  it('is never longer than 8 KiB, and says that it is cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), fc.nat(2_000), (text, times) => {
        const raw = text.repeat(times);
        const kept = toKeptLine(raw, plain);
        const bytes = new TextEncoder().encode(kept).length;
        expect(bytes).toBeLessThanOrEqual(LONGEST_LINE_BYTES);
        expect(kept.isWellFormed()).toBe(true);
      }),
      { numRuns: 50 },
    );
    expect(toKeptLine('x'.repeat(9_000), plain)).toMatch(/^x{8000,} … \(the rest of this line is left out\)$/);
  });

  it('shows no part of a value that begins within it, nor one that escape sequences tear apart', () => {
    const secret = 'correct-horse-battery-staple';
    const mask = createMask([secret]);
    expect(toKeptLine(`token=correct-\x1b[1mhorse-battery\x1b[0m-staple`, mask)).toBe('token=***');
    expect(toKeptLine(`${'x'.repeat(LONGEST_LINE_BYTES - 60)}${secret}${'y'.repeat(100)}`, mask)).not.toContain(
      'correct',
    );
  });
});

describe('lines that wait', () => {
  const bounds = fc.record({ characters: fc.integer({ min: 1, max: 50 }), lines: fc.integer({ min: 1, max: 10 }) });
  const lines = fc.array(fc.string({ maxLength: 20 }), { maxLength: 60 });

  it('keep their numbers, lose the oldest first, and are never more than the bounds allow', () => {
    fc.assert(
      fc.property(bounds, bounds, lines, fc.array(fc.boolean()), (held, most, texts, takes) => {
        const outgoing = createOutgoingLines(held);
        const received: [number, string][] = [];
        const receive = (): void => {
          const batch = outgoing.take(most);
          for (const [index, { raw }] of batch.lines.entries()) received.push([batch.firstNumber + index, raw]);
        };
        for (const [index, raw] of texts.entries()) {
          outgoing.push({ atMs: 0, raw });
          expect(outgoing.size()).toBeLessThanOrEqual(held.lines);
          expect(outgoing.size() === 1 || outgoing.characters() <= held.characters).toBe(true);
          if (takes[index]) receive();
        }
        while (outgoing.size() > 0) receive();
        expect(outgoing.characters()).toBe(0);
        for (const [number, raw] of received) expect(raw).toBe(texts[number - 1]);
        const numbers = received.map(([number]) => number);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        if (texts.length > 0) expect(numbers.at(-1)).toBe(texts.length);
      }),
    );
  });

  it('take little time, however many they are', () => {
    const outgoing = createOutgoingLines({ characters: 10_000_000, lines: 100_000 });
    for (let count = 0; count < 1_000_000; count += 1) outgoing.push({ atMs: 0, raw: 'line' });
    expect(outgoing.take({ characters: 100, lines: 2 })).toMatchObject({ firstNumber: 900_001, lines: [{}, {}] });
  });
});

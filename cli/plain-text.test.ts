import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { colouredText, plainJson, plainText } from './plain-text.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be left
const OBEYED = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the start of every sequence
const COLOUR = /\x1b\[[0-9;:]*m/g;

const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\x1b', '\x1b]', '\x1b[', '\x9b', '\x9d', '\x07', '31m', '\x1b\\', '\r', '\n', '\u202e'),
    ),
  )
  .map((parts) => parts.join(''));

describe('plainText', () => {
  it('leaves no character that a terminal obeys, whatever comes in', () => {
    fc.assert(fc.property(hostile, (text) => !OBEYED.test(plainText(text))));
  });

  it.each([
    ['a clipboard write', '\x1b]52;c;ZXZpbA==\x07after', 'after'],
    ['a title with the long terminator', '\x1b]0;root#\x1b\\after', 'after'],
    ['a hyperlink', '\x1b]8;;http://evil\x07click\x1b]8;;\x07', 'click'],
    ['a device control string', '\x1bP$q"p\x1b\\after', 'after'],
    ['8-bit sequences', '\x9b2Jafter\x9d0;title\x9c!', 'after!'],
    ['a screen that is cleared', '\x1b[2J\x1b[Hafter', 'after'],
    ['a line that is overwritten', 'failed\rok', 'failed␍ok'],
    ['a change of direction', 'a\u202eb', 'a\ufffdb'],
  ])('takes the effect away from %s', (_, text, expected) => {
    expect(plainText(text)).toBe(expected);
  });

  it('keeps tabs, accents, emoji and scripts of all kinds', () => {
    const text = 'grüße\t日本語 🎉 שלום';
    expect(plainText(text)).toBe(text);
  });
});

describe('colouredText', () => {
  it('keeps nothing but colours, and ends them with the line', () => {
    expect(colouredText('\x1b[31mred\x1b[2J\x1b]0;t\x07')).toBe('\x1b[31mred\x1b[0m');
    fc.assert(fc.property(hostile, (text) => !OBEYED.test(colouredText(text).replace(COLOUR, ''))));
  });
});

describe('plainJson', () => {
  it('parses to the same value and holds no character that a terminal obeys', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const json = plainJson({ text });
        expect(JSON.parse(json)).toEqual({ text });
        expect(json).not.toMatch(OBEYED);
      }),
    );
  });
});

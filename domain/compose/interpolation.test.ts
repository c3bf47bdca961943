import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isDomainError } from '../errors.ts';
import { COMPOSE_LIMITS } from './application.ts';
import { interpolateDocument } from './document.ts';
import { createInterpolation, interpolateText, type Variables } from './interpolation.ts';

function interpolate(text: string, variables: Variables = {}): { value: string; missing: string[] } {
  const interpolation = createInterpolation(variables);
  const value = interpolateText('x', text, interpolation);
  return { value, missing: interpolation.missing.map(({ name }) => name) };
}

const NAMES = ['A', 'B', 'C_1', '_d'] as const;
const aName = fc.constantFrom(...NAMES);
const someVariables = fc.dictionary(aName, fc.oneof(fc.string(), fc.constantFrom('', '$A', '${B:-x}', '$$', '}')));

/** A text in parts, so that what it means is known without taking it apart. */
type Part =
  | { readonly kind: 'plain'; readonly text: string }
  | { readonly kind: 'dollar' }
  | { readonly kind: 'variable'; readonly name: string; readonly isBraced: boolean }
  | { readonly kind: 'word'; readonly name: string; readonly operator: string; readonly word: readonly Part[] };

const OPERATORS = [':-', '-', ':?', '?', ':+', '+'];

const { text: aText } = fc.letrec<{ text: readonly Part[]; part: Part }>((tie) => ({
  text: fc.array(tie('part'), { maxLength: 4 }),
  part: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('plain' as const),
      text: fc.string({ unit: fc.constantFrom(...'xyz09 .:-?+/"\'äß') }),
    }),
    fc.record({ kind: fc.constant('dollar' as const) }),
    fc.record({ kind: fc.constant('variable' as const), name: aName, isBraced: fc.boolean() }),
    fc.record({
      kind: fc.constant('word' as const),
      name: aName,
      operator: fc.constantFrom(...OPERATORS),
      word: tie('text'),
    }),
  ),
}));

function write(parts: readonly Part[]): string {
  return parts
    .map((part) => {
      if (part.kind === 'plain') return part.text;
      if (part.kind === 'dollar') return '$$';
      // A space keeps the letters that follow out of the name.
      if (part.kind === 'variable') return part.isBraced ? `\${${part.name}}` : `$${part.name} `;
      return `\${${part.name}${part.operator}${write(part.word)}}`;
    })
    .join('');
}

/** What a shell says these parts mean; `missing` where it would give up, or Compose would take nothing. */
function meaning(parts: readonly Part[], variables: Variables, missing: string[]): string {
  return parts
    .map((part) => {
      if (part.kind === 'plain') return part.text;
      if (part.kind === 'dollar') return '$';
      const value = variables[part.name];
      const miss = () => {
        missing.push(part.name);
        return '';
      };
      if (part.kind === 'variable') return (value ?? miss()) + (part.isBraced ? '' : ' ');
      const isSet = part.operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
      const word = () => meaning(part.word, variables, missing);
      if (part.operator.endsWith('-')) return isSet ? (value ?? '') : word();
      if (part.operator.endsWith('+')) return isSet ? word() : (value ?? '');
      return isSet ? (value ?? '') : miss();
    })
    .join('');
}

describe('interpolation', () => {
  it('means what a shell means by the same words, however they are nested', () => {
    fc.assert(
      fc.property(aText, someVariables, (parts, variables) => {
        const missing: string[] = [];
        const value = meaning(parts, variables, missing);
        expect(interpolate(write(parts), variables)).toEqual({ value, missing });
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves a text without a dollar alone', () => {
    fc.assert(
      fc.property(fc.string(), someVariables, (text, variables) => {
        const plain = text.replaceAll('$', '');
        expect(interpolate(plain, variables)).toEqual({ value: plain, missing: [] });
      }),
    );
  });

  it('gives back any text whose dollars were doubled', () => {
    const texts = fc.string({ unit: fc.oneof(fc.constantFrom(...'${}:-?+$A_'), fc.string({ maxLength: 1 })) });
    fc.assert(
      fc.property(texts, someVariables, (text, variables) => {
        expect(interpolate(text.replaceAll('$', '$$$$'), variables)).toEqual({ value: text, missing: [] });
      }),
    );
  });

  it('never looks into the value of a variable', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(interpolate('a${A}b$A', { A: value }).value).toBe(`a${value}b${value}`);
      }),
    );
  });

  it('refuses what is no variable in its own words, and fails in no other way', () => {
    const texts = fc.string({ unit: fc.constantFrom(...'${}$${}:-?+AB9 \n'), maxLength: 40 });
    fc.assert(
      fc.property(texts, someVariables, (text, variables) => {
        try {
          interpolate(text, variables);
        } catch (error) {
          expect(isDomainError(error) && error.code).toBe('INVALID_ARGUMENT');
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each(['PATH', 'HOME', 'constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'knows no $%s of its own',
    (name) => {
      expect(interpolate(`$${name}`).missing).toEqual([name]);
      expect(interpolate(`\${${name}-given}`).value).toBe('given');
    },
  );

  it('ends a text that its variables make too long', () => {
    const long = { A: 'x'.repeat(COMPOSE_LIMITS.characters / 4) };
    expect(interpolate('$A$A$A$A', long).value).toHaveLength(COMPOSE_LIMITS.characters);
    expect(() => interpolate('$A$A$A${A}x', long)).toThrow('more text than a file may hold');
    expect(() => interpolate('$A$A$A$A'.repeat(1000), long)).toThrow('more text than a file may hold');
  });

  it('ends variables that are nested too deep', () => {
    const nested = (depth: number) => `${'${U:-'.repeat(depth)}x${'}'.repeat(depth)}`;
    expect(interpolate(nested(COMPOSE_LIMITS.nestedVariables)).value).toBe('x');
    expect(() => interpolate(nested(COMPOSE_LIMITS.nestedVariables + 1))).toThrow('nested');
    expect(() => interpolate(nested(40_000))).toThrow('nested');
  });
});

describe('a document', () => {
  it('has variables put into its values only, never into its keys, nor into the x- keys at its top', () => {
    const raw = { 'x-note': '$NOT_GIVEN', $A: ['$A', { b: '${A}', 'x-inner': '$A' }, 1, true, null] };
    expect(interpolateDocument(raw, { A: 'v' })).toEqual({
      path: '',
      written: { $A: ['$A', { b: '${A}', 'x-inner': '$A' }, 1, true, null] },
      value: { $A: ['v', { b: 'v', 'x-inner': 'v' }, 1, true, null] },
    });
  });

  it('names every variable that is missing, and where the first one is', () => {
    const raw = { services: { web: { image: '${TAG:?which one}', environment: { P: '$PASSWORD', Q: '$PASSWORD' } } } };
    expect(() => interpolateDocument(raw, {})).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        field: 'services.web.image',
        message: expect.stringContaining('variable TAG has no value (which one), nor have PASSWORD'),
        hint: 'Give values for TAG, PASSWORD.',
      }),
    );
  });

  it.each([
    ['a list', [], 'file'],
    ['nothing', null, 'file'],
    ['a text', 'services', 'file'],
    ['a date', { a: { b: new Date(0) } }, 'a.b'],
    ['a set', { a: new Set() }, 'a'],
    ['a number that is none', { a: [Number.NaN] }, 'a[0]'],
    ['an infinite number', { a: Number.POSITIVE_INFINITY }, 'a'],
    ['a big integer', { a: 1n }, 'a'],
    ['a function', { a: () => 1 }, 'a'],
    ['undefined', { a: undefined }, 'a'],
    ['a NUL character', { a: 'b\0' }, 'a'],
    ['half of a character', { a: '\ud800' }, 'a'],
    ['half of a character in a key', { '\ud800': 'a' }, '["\\ud800"]'],
    ['a key of JavaScript', JSON.parse('{"a": {"__proto__": 1}}'), 'a.__proto__'],
    ['another key of JavaScript', { constructor: 1 }, 'constructor'],
  ])('is refused for %s', (_, raw, field) => {
    expect(() => interpolateDocument(raw, {})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field }));
  });

  it('counts each use of a value that it shares with itself', () => {
    let bomb: unknown = 'lol';
    for (let level = 0; level < 9; level += 1) bomb = Array.from({ length: 10 }, () => bomb);
    expect(() => interpolateDocument({ bomb }, {})).toThrow(/more values than a file may hold/);
  });

  it('ends in a circle', () => {
    const circle: Record<string, unknown> = {};
    circle.again = circle;
    expect(() => interpolateDocument(circle, {})).toThrow('nested too deep');
  });
});

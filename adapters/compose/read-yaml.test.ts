import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { DomainError } from '../../domain/errors.ts';
import { readYaml } from './read-yaml.ts';

function refusal(text: string): DomainError {
  try {
    readYaml(text);
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('YAML', () => {
  it.each<[string, unknown]>([
    ['a: yes', { a: 'yes' }],
    ['a: on', { a: 'on' }],
    ['a: true', { a: true }],
    ['a: True', { a: true }],
    ['a: !!bool "true"', { a: true }],
    ['a: !!str true', { a: 'true' }],
    ['a: ! 1', { a: '1' }],
    ['a: !!int "1"', { a: 1 }],
    ['a: ~', { a: null }],
    ['a:', { a: null }],
    ['a: 22:22', { a: '22:22' }],
    ['a: 0x1F', { a: 31 }],
    ['a: 1.10', { a: 1.1 }],
    ['a: 2001-12-14', { a: '2001-12-14' }],
    ['"0123": "0123"', { '0123': '0123' }],
    ['a: |\n  x\n  y\n', { a: 'x\ny\n' }],
    ['a: >-\n  x\n  y\n', { a: 'x y' }],
    ['--- \na: 1\n...\n', { a: 1 }],
    ['%YAML 1.2\n---\na: 1\n', { a: 1 }],
    ['# only a remark\n- a', ['a']],
    ['{"a": [1, "b", null]}', { a: [1, 'b', null] }],
  ])('is read as version 1.2 has it: %j', (text, expected) => {
    expect(readYaml(text)).toEqual(expected);
  });

  it.each<[string, unknown]>([
    ['x: &x {a: 1}\ny: *x', { a: 1 }],
    ['x: &x {a: 1, b: 1}\ny: {<<: *x, b: 2}', { a: 1, b: 2 }],
    ['x: &x {a: 1, b: 1}\ny: {b: 2, <<: *x}', { a: 1, b: 2 }],
    ['w: &w {a: 1, c: 3}\nx: &x {a: 2, b: 2}\ny: {<<: [*x, *w]}', { a: 2, b: 2, c: 3 }],
    ['x: &x {a: 1}\nw: &w {<<: *x, b: 2}\ny: {<<: *w}', { a: 1, b: 2 }],
    ['y: {<<: {a: 1}, b: 2}', { a: 1, b: 2 }],
    ['x: &x 1\nw: &x 2\ny: {a: *x}', { a: 2 }],
    ['y: {"<<": 1}', { '<<': 1 }],
  ])('knows anchors and merge keys: %j', (text, expected) => {
    expect(readYaml(text)).toMatchObject({ y: expected });
  });

  it.each<[string, string, string | RegExp]>([
    ['', 'file', 'empty'],
    ['# nothing\n', 'file', 'empty'],
    ['a: b: c', 'file', 'line 1, column 4: a map or list within one line of another'],
    ['a: [1', 'file', /line 1, column \d: /],
    ['a: "b', 'file', /line 1, column \d: /],
    ['a: 1\n  b: 2', 'file', /line [12], column \d+: /],
    ['a:\n\tb: 1', 'file', /line 2, column \d: a tab as indentation/],
    ['a: @b', 'file', 'line 1, column 4: a sign that no text begins with'],
    ['a: 1\n---\nb: 1', 'file', 'line 2, column 1: a second document'],
    ['a: 1\n}', 'file', 'line 2, column 1: no YAML from here on'],
    ['a: !!js/function "function () {}"', 'file', 'line 1, column 4: a tag that is not supported'],
    ['a: !!python/object/apply:os.system [id]', 'file', 'a tag that is not supported'],
    ['a: !!binary aGk=', 'file', 'a tag that is not supported'],
    ['a: !!set {b}', 'file', 'a tag that is not supported'],
    ['a: !!timestamp 2001-12-14', 'file', 'a tag that is not supported'],
    ['a: !reset null', 'file', 'a tag that is not supported'],
    ['a: !override []', 'file', 'a tag that is not supported'],
    ['a: !!bool "yes"', 'file', 'a tag that is not supported'],
    ['a: !!int x', 'file', 'a tag that is not supported'],
    ['%YAML 1.1\n---\na: yes', 'file', 'YAML 1.1; allowed is YAML 1.2'],
    ['%YAML 1.3\n---\na: yes', 'file', 'an unknown directive'],
    ['%FOO\n---\na: yes', 'file', 'an unknown directive'],
    ['a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n', 'b.c', 'the key is there twice, on lines 3 and 5'],
    ['{a: 1, "a": 2}', 'a', 'the key is there twice, on lines 1 and 1'],
    ['x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x\n', 'y.<<', 'the key is there twice, on lines 3 and 4'],
    ['a: [{b: 1, b: 2}]', 'a[0].b', 'the key is there twice'],
    ['1: a', 'file', 'a key that is no text'],
    ['a: {true: 1}', 'a', 'line 1, column 5: a key that is no text'],
    ['? [a]\n: b', 'file', 'a key that is no text'],
    ['? \n: b', 'file', 'a key that is no text'],
    ['a: *b', 'a', 'line 1, column 4: an alias of what is not above it'],
    ['a: &a {b: *a}', 'a.b', 'an alias of what is not above it'],
    ['a: &a [*a]', 'a[0]', 'an alias of what is not above it'],
    ['y: {<<: 1}', 'y.<<', 'a merge of what is no map'],
    ['y: {<<: [1]}', 'y.<<', 'a merge of what is no map'],
    ['a: 0123', 'a', 'line 1, column 4: a number that can be read in several ways; allowed is such a value in quotes'],
    ['a: 1_000', 'a', 'a number that can be read in several ways'],
    ['a: 0b11', 'a', 'a number that can be read in several ways'],
    ['a: 12345678901234567890', 'a', 'a number that can be read in several ways'],
    ['a: .inf', 'a', 'a number that can be read in several ways'],
    ['a: .nan', 'a', 'a number that can be read in several ways'],
    ['a: 1e400', 'a', 'a number that can be read in several ways'],
    ['\ufeffa: 1', 'file', 'begins with a byte order mark'],
    ['a: \0', 'file', 'holds a control character at position 3'],
    ['a: "\x1b[31m"', 'file', 'holds a control character'],
    ['a: \ud800', 'file', 'holds half of a character'],
  ])('is refused, with the line where there is one: %j', (text, field, message) => {
    const error = refusal(text);
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.field).toBe(field === 'y.<<' ? 'y["<<"]' : field);
    expect(error.message).toMatch(message);
  });

  it('is read as its library reads it, where that is allowed to', () => {
    const folder = join(import.meta.dirname, 'fixtures/supported');
    for (const name of readdirSync(folder)) {
      const text = readFileSync(join(folder, name), 'utf8');
      expect(readYaml(text), name).toEqual(parse(text, { merge: true }));
    }
  });

  it('gives back what was written', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'grapheme' }),
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie('tree'), { maxKeys: 3 }),
      ),
    }));
    fc.assert(
      fc.property(fc.array(tree), (value) => {
        expect(readYaml(stringify(value))).toEqual(value);
      }),
      { numRuns: 200 },
    );
  });

  it('is refused without a word of what it says', () => {
    for (const text of [
      'hunter2: [',
      'a: "hunter2',
      '- hunter2: b: c',
      'a: !hunter2 x',
      'a: }hunter2',
      '{hunter2: 1} hunter2',
      'a: *hunter2',
    ]) {
      expect(refusal(text).message).not.toContain('hunter2');
    }
  });
});

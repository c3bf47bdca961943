import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.ts';

const ROOT = join(import.meta.dirname, '../../..');

describe('the list of mutants', () => {
  it.each(MUTANTS)('can be applied: $name', ({ file, text, replacement, test }) => {
    const source = readFileSync(join(ROOT, file), 'utf8');
    expect(source.split(text)).toHaveLength(2);
    expect(replacement).not.toBe(text);
    expect(existsSync(join(ROOT, test.file))).toBe(true);
  });

  it('has each mutant once', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });
});

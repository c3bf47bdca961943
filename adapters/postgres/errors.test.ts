import { describe, expect, it } from 'vitest';
import { asDatabaseError } from './errors.ts';

const withCode = (code: string): Error => Object.assign(new Error('as the server says it'), { code });

describe('an error of the database', () => {
  it.each([
    ['ECONNREFUSED', 'the database does not answer'],
    ['57P01', 'the database does not answer'],
    ['53100', 'the database cannot do this now: its disk is full'],
    ['53300', 'the database cannot do this now: it takes no more connections'],
  ])('%s says: %s, and may be tried again', (code, message) => {
    expect(asDatabaseError(withCode(code))).toMatchObject({ code: 'DATABASE_UNAVAILABLE', message });
  });

  it('of another kind stays as it is', () => {
    for (const error of [withCode('23505'), new TypeError('no'), 'text']) expect(asDatabaseError(error)).toBe(error);
  });
});

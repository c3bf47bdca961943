import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pageSize, parsePageToken, toPageToken } from './pagination.ts';

const LIST = { list: 'deployments', filters: ['o', '', 'ü'] };
const FORMS = ['timestamp', 'uuid'] as const;
const KEY = ['2026-01-02T03:04:05.678Z', '00000000-0000-4000-8000-000000000000'];

describe('a page token', () => {
  it('is read back by the list that made it', () => {
    expect(parsePageToken(toPageToken(LIST, KEY), LIST, FORMS)).toEqual(KEY);
    expect(parsePageToken('', LIST, FORMS)).toBeUndefined();
  });

  it('fits into what the contract allows, whatever the filters', () => {
    const id = '00000000-0000-4000-8000-000000000000';
    const longest = { list: 'deployments', filters: [id, id, 'x'.repeat(63)] };
    expect(toPageToken(longest, KEY).length).toBeLessThanOrEqual(512);
  });

  it.each<[string, string]>([
    ['another list', toPageToken({ ...LIST, list: 'projects' }, KEY)],
    ['other filters', toPageToken({ ...LIST, filters: ['other', '', 'ü'] }, KEY)],
    ['a key of another form', toPageToken(LIST, ['yesterday', KEY[1] ?? ''])],
    ['a date that is none', toPageToken(LIST, ['2026-13-45T03:04:05Z', KEY[1] ?? ''])],
    ['a part of a key', toPageToken(LIST, KEY.slice(1))],
    ['a cut token', toPageToken(LIST, KEY).slice(0, -5)],
  ])('is refused when it is of %s', (_, token) => {
    expect(() => parsePageToken(token, LIST, FORMS)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'page.token' }),
    );
  });

  it('is refused whatever else was sent', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ minLength: 1 }), fc.base64String({ minLength: 1 })), (token) => {
        expect(() => parsePageToken(token, LIST, FORMS)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
      }),
    );
  });
});

describe('a page', () => {
  it('has 50 rows unless another size is asked for', () => {
    expect([0, 1, 200].map(pageSize)).toEqual([50, 1, 200]);
  });
});

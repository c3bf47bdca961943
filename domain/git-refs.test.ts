import { describe, expect, it } from 'vitest';
import { chooseCommit, namesToAsk } from './git-refs.ts';

const [A, B, C] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)];
const REFS = [
  { name: 'HEAD', commit: A },
  { name: 'refs/heads/main', commit: A },
  { name: 'refs/heads/v2', commit: A },
  { name: 'refs/heads/x/refs/heads/other', commit: C },
  { name: 'refs/pull/1/head', commit: C },
  { name: 'refs/tags/v1', commit: B },
  { name: 'refs/tags/v1^{}', commit: C },
  { name: 'refs/tags/v2', commit: A },
];

describe('what a ref stands for', () => {
  it.each([
    ['HEAD', A],
    ['main', A],
    ['refs/heads/main', A],
    ['v1', C],
    ['refs/tags/v1', C],
    ['refs/tags/v2', A],
    ['refs/heads/v2', A],
    ['refs/pull/1/head', C],
  ])('%s is one commit', (ref, commit) => expect(chooseCommit(ref, REFS)).toBe(commit));

  it.each(['mai', 'Main', 'other', 'heads/main', 'refs/heads', 'v1^{}', 'abc1234'])('%s is nothing', (ref) => {
    expect(() => chooseCommit(ref, REFS)).toThrow(expect.objectContaining({ code: 'SOURCE_REFUSED' }));
  });

  it('is refused when a branch and a tag have that name, even at one commit', () => {
    expect(() => chooseCommit('v2', REFS)).toThrow('v2 is both a branch and a tag');
  });

  it('says that a repository is empty, and that a short commit id is none', () => {
    expect(() => chooseCommit('HEAD', [])).toThrow('it is empty');
    expect(() => chooseCommit('abc1234', [])).toThrow(
      expect.objectContaining({ hint: 'Write out the whole commit id.' }),
    );
  });

  it('is asked for by whole names', () => {
    expect(namesToAsk('v1')).toEqual(['refs/heads/v1', 'refs/heads/v1^{}', 'refs/tags/v1', 'refs/tags/v1^{}']);
    expect(namesToAsk('HEAD')).toEqual(['HEAD']);
  });
});

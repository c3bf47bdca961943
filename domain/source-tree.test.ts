import { describe, expect, it } from 'vitest';
import { GIT_LIMITS } from './git-source.ts';
import { checkLink, createSourceBudget, parseTreeEntry, type TreeEntry } from './source-tree.ts';

const ID = '0a'.repeat(20);
const REFUSED = expect.objectContaining({ code: 'SOURCE_REFUSED' });

function aFile(path: string, size = 1): TreeEntry {
  return { kind: 'file', id: ID, size, path };
}

describe('an entry of a Git tree', () => {
  it.each<[string, TreeEntry]>([
    [`100644 blob ${ID}       3\ta`, aFile('a', 3)],
    [`100664 blob ${ID}       3\ta`, aFile('a', 3)],
    [`100755 blob ${ID} 1234567\tbin/run it`, { kind: 'executable', id: ID, size: 1_234_567, path: 'bin/run it' }],
    [`120000 blob ${ID}       3\ta\nb`, { kind: 'link', id: ID, size: 3, path: 'a\nb' }],
    [`160000 commit ${ID}       -\tlib`, { kind: 'submodule', id: ID, size: 0, path: 'lib' }],
  ])('%j is read', (record, entry) => expect(parseTreeEntry(record)).toEqual(entry));

  it.each([
    ...[`040000 tree ${ID} -\ta`, `100600 blob ${ID} 1\ta`, `0 blob ${ID} 1\ta`, 'nonsense', ''],
    ...['../a', '/a', 'a/../b', './a', 'a//b', 'a/', '.git/config', 'a/.GIT/hooks/x', '.git', 'GIT~1/config'].map(
      (path) => `100644 blob ${ID} 1\t${path}`,
    ),
    ...[`100644 blob ${ID} 1\t${'ä'.repeat(128)}`, `100644 blob ${ID} 1\t${'a/'.repeat(2048)}b`],
  ])('%j is refused', (record) => expect(() => parseTreeEntry(record)).toThrow(REFUSED));
});

describe('a link', () => {
  it.each([
    ['a', 'b'],
    ['a/b', '../c'],
    ['a/b/c', '../../d/e'],
    ['a', './b/./c'],
  ])('from %s to %s stays within', (path, target) => expect(() => checkLink(path, target)).not.toThrow());

  it.each([
    ['Dockerfile', '/etc/shadow'],
    ['a', '..'],
    ['a', '../b'],
    ['a/b', '../../c'],
    ['a', 'b/../../c'],
    ['a', 'b/..'],
    ['a', ''],
    ['a', 'b\0c'],
    ['a', 'x'.repeat(5000)],
  ])('from %s to %j is refused', (path, target) => expect(() => checkLink(path, target)).toThrow(REFUSED));
});

describe('the budget of a source', () => {
  it('counts files and bytes', () => {
    const budget = createSourceBudget(GIT_LIMITS);
    for (const entry of [aFile('a', 5), aFile('b/c', 7), { ...aFile('lib', 0), kind: 'submodule' as const }])
      budget.take(entry);
    expect(budget.spent()).toEqual({ files: 2, bytes: 12 });
  });

  it('refuses one file, folder, byte or submodule too many', () => {
    const limits = { ...GIT_LIMITS, bytes: 10, entries: 4, submodules: 1, downloadBytes: 100 };
    const full = createSourceBudget(limits);
    for (const path of ['a/b/c', 'a/b/c']) full.take(aFile(path));
    expect(() => full.take(aFile('a/b/d'))).toThrow(REFUSED);
    const deep = createSourceBudget(limits);
    expect(() => deep.take(aFile('a/b/c/d/e'))).toThrow(REFUSED);
    const large = createSourceBudget(limits);
    large.take(aFile('a', 10));
    expect(() => large.take(aFile('b', 1))).toThrow(REFUSED);
    large.takeSubmodule();
    expect(() => large.takeSubmodule()).toThrow(REFUSED);
    expect(large.takeDownload(60)).toBe(40);
    expect(() => large.takeDownload(40)).toThrow(REFUSED);
  });
});

import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSweepContextFiles } from '../../activities/sweep-context-files.ts';
import type { ContextFilesPage } from '../../contracts/retention.ts';
import { DEFAULT_RETENTION } from '../../domain/retention/policy.ts';
import { type ContextFiles, openContextFiles } from './context-files.ts';

const NOW_MS = Date.UTC(2026, 0, 10);
const DAY_MS = 24 * 3_600_000;
const hash = (letter: string): string => letter.repeat(64);

let folder: string;
let files: ContextFiles;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-context-files-'));
  await mkdir(join(folder, 'incoming'));
  await writeFile(join(folder, 'incoming', 'an-upload'), 'x');
  files = openContextFiles(folder);
});
afterEach(() => rm(folder, { recursive: true }));

/** Stores a file of so many bytes, so many days ago. */
async function store(letter: string, daysAgo: number, bytes = 10): Promise<void> {
  const path = join(folder, hash(letter));
  await writeFile(path, Buffer.alloc(bytes));
  await age(path, daysAgo);
}

async function age(path: string, daysAgo: number): Promise<void> {
  const at = new Date(NOW_MS - daysAgo * DAY_MS);
  await utimes(path, at, at);
}

const stored = async (): Promise<string[]> =>
  (await readdir(folder)).flatMap((name) => (name.length === 64 ? [name.slice(0, 1)] : [])).sort();

async function sweep(needed: readonly string[], options: { isDryRun?: boolean; files?: ContextFiles } = {}) {
  const ports = { files, now: () => new Date(NOW_MS), findNeeded: async () => new Set(needed.map(hash)), ...options };
  const input = { runId: 'run', isDryRun: options.isDryRun ?? false, policy: DEFAULT_RETENTION, after: '' };
  const { sweepContextFiles } = createSweepContextFiles(ports);
  return (await new MockActivityEnvironment().run(sweepContextFiles, input)) as ContextFilesPage;
}

describe('files of contexts', () => {
  it('go when nothing needs them and they are older than a day; uploads under way are left alone', async () => {
    await store('a', 2, 100);
    await store('b', 2);
    await store('c', 0.5);
    await store('d', 9, 1_000);
    await writeFile(join(folder, 'not-a-context'), 'x');
    const expected = { removed: 2, bytes: 1_100, kept: 2, next: null };
    expect(await sweep(['b'], { isDryRun: true })).toEqual(expected);
    expect(await stored()).toEqual(['a', 'b', 'c', 'd']);
    expect(await sweep(['b'])).toEqual(expected);
    expect(await stored()).toEqual(['b', 'c']);
    expect(await readdir(join(folder, 'incoming'))).toEqual(['an-upload']);
    expect((await readdir(folder)).includes('not-a-context')).toBe(true);
    expect(await sweep(['b'])).toMatchObject({ removed: 0, bytes: 0 });
  });

  it('stay when they are uploaded again just before they go', async () => {
    await store('a', 2);
    const slow: ContextFiles = {
      ...files,
      remove: async (...args) => {
        await store('a', 0);
        return await files.remove(...args);
      },
    };
    expect(await sweep([], { files: slow })).toMatchObject({ removed: 0 });
    expect(await stored()).toEqual(['a']);
  });

  it('that a process had taken out when it died are put back when they are new, and else go', async () => {
    await mkdir(join(folder, 'outgoing'));
    for (const [letter, daysAgo] of [['a', 0] as const, ['b', 2] as const]) {
      const path = join(folder, 'outgoing', `${hash(letter)}.1`);
      await writeFile(path, 'x');
      await age(path, daysAgo);
    }
    await sweep([]);
    expect(await stored()).toEqual(['a']);
    expect(await readdir(join(folder, 'outgoing'))).toEqual([]);
  });

  it('are listed by hash, page by page, and removed by nothing else than a hash', async () => {
    for (const letter of ['a', 'b', 'c']) await store(letter, 1);
    const first = await files.list({ after: '', limit: 2 });
    expect(first.map(({ sha256 }) => sha256)).toEqual([hash('a'), hash('b')]);
    expect(await files.list({ after: hash('b'), limit: 2 })).toMatchObject([{ sha256: hash('c') }]);
    await expect(files.remove('../../etc/passwd', 0)).rejects.toThrow('no hash');
    expect(await files.remove(hash('f'), 0)).toBe(true);
  });
});

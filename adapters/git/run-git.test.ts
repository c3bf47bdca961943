import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processesIn } from '../../test/support/processes.ts';
import { ProcessFailed } from '../processes/run-process.ts';
import { gitEnvironment } from './environment.ts';
import { findGitPrograms, type GitPrograms } from './programs.ts';
import { type GitCall, readText, runGit } from './run-git.ts';

let work: string;
let programs: GitPrograms;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'obiente-run-git-'));
  programs = await findGitPrograms(process.env.PATH ?? '');
  await run({ args: ['init', '--quiet', '--bare', 'r'] });
});

afterAll(async () => {
  expect(processesIn(work)).toEqual([]);
  await rm(work, { recursive: true });
});

function run(call: Partial<GitCall> & { args: readonly string[] }, read = readText(1_000_000)): Promise<string> {
  const signal = new AbortController().signal;
  return runGit(programs, { env: gitEnvironment({ programs, work }), cwd: work, signal, ...call }, read);
}

function* noise(parts: number): Generator<string> {
  for (let part = 0; part < parts; part += 1) yield `${part} ${Math.random()}`.repeat(1000);
}

describe('a run of git', () => {
  it('writes no larger file than it may, where the machine can bound that', async () => {
    const call = { args: ['-C', 'r', 'hash-object', '-w', '--stdin'], input: noise(50) };
    await expect(run({ ...call, maxFileBytes: 1000 })).rejects.toBeInstanceOf(ProcessFailed);
    expect(await run({ ...call, input: noise(50), maxFileBytes: 10_000_000 })).toMatch(/^[0-9a-f]{40}\n$/);
  });

  it('may take no more than its memory, where the machine can bound that', async () => {
    const { prlimit = '' } = programs;
    expect(prlimit).not.toBe('');
    // The same program that sets the limits shows them, when it stands in for git.
    const show = ['--noheadings', '--raw', '--output=RESOURCE,SOFT', '--data', '--core'];
    const call = { args: show, env: {}, cwd: work, signal: new AbortController().signal };
    const limits = await runGit({ ...programs, git: prlimit }, call, readText(1000));
    expect(limits.trim().split('\n').toSorted()).toEqual(['CORE 0', 'DATA 1073741824']);
  });

  it('that fails tells its last lines, each of bounded length', async () => {
    const error = (await run({ args: [`--${'x'.repeat(5000)}`] }).catch((reason: unknown) => reason)) as ProcessFailed;
    expect(error).toBeInstanceOf(ProcessFailed);
    expect(error.lines.length).toBeLessThanOrEqual(20);
    expect(Math.max(...error.lines.map((line) => line.length))).toBeLessThanOrEqual(500);
    await expect(run({ args: ['--version'] }, readText(3))).rejects.toMatchObject({ code: 'SOURCE_REFUSED' });
  });

  it('ends with its reader, and says what that said', async () => {
    const endless = { args: ['-C', 'r', 'cat-file', '--batch'], input: noise(100_000) };
    const giveUp = () => Promise.reject(new Error('the disk is full'));
    await expect(
      runGit(
        programs,
        { ...endless, env: gitEnvironment({ programs, work }), cwd: work, signal: new AbortController().signal },
        giveUp,
      ),
    ).rejects.toThrow('the disk is full');
  });

  it('says so when the program is not there', async () => {
    const nowhere = { ...programs, git: '/does/not/exist', prlimit: undefined };
    const call = { args: ['version'], env: {}, cwd: work, signal: new AbortController().signal };
    await expect(runGit(nowhere, call, readText(100))).rejects.toThrow('ENOENT');
  });
});

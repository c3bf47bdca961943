import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../../domain/errors.ts';
import { downloadTooLarge, type SourceBudget } from '../../domain/source-tree.ts';
import { ProcessFailed } from '../processes/run-process.ts';
import { createStallGuard } from '../streams/stall-guard.ts';
import { gitEnvironment } from './environment.ts';
import { plainLine, toSourceError } from './git-failure.ts';
import type { Remote } from './remote.ts';
import { type GitCall, readText, runGit } from './run-git.ts';

/** More history than any repository has: what git calls an infinite depth. */
const WHOLE_HISTORY = 2 ** 31 - 1;

const BATCH_CHECK_BYTES = 64 * 1024;

/** One commit to get. */
export interface ObjectsRequest {
  readonly remote: Remote;
  readonly commit: string;
  /** Where the bare repository with the objects is made; must not exist. */
  readonly repository: string;
  readonly budget: SourceBudget;
  /** A server that sends nothing, not even progress, for this long has hung. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
  /** Told of git's lines, without secrets. */
  readonly onProgress: (line: string) => void;
}

/**
 * Gets the objects of exactly one commit into a bare repository of its own, which has no hooks and no working tree.
 *
 * It is fetched without its history; from a server which hands out nothing but what its refs name, all of it is.
 * Git computes the ids of what it received, so the commit is the one that was asked for, or it is not there.
 *
 * @throws SOURCE_UNAVAILABLE, SOURCE_REFUSED.
 */
export async function fetchObjects(request: ObjectsRequest): Promise<void> {
  const { remote, commit } = request;
  const what = `cannot fetch commit ${commit} of ${remote.url.text}`;
  try {
    await fetchOne(request).catch(async (error: unknown) => {
      if (!isOldServer(error)) throw error;
      request.onProgress('the server hands out no single commits: fetching all branches and tags');
      await fetchAll(request);
    });
  } catch (error) {
    throw toSourceError(what, error, remote.secrets);
  }
  const [type] = await describeObjects(request, [commit]);
  if (type === 'commit') return;
  const finding = type === undefined ? 'the repository has no such commit' : `it is a ${type}`;
  throw new DomainError('SOURCE_REFUSED', `${what}: ${finding}`, { hint: 'Deploy a commit of the repository.' });
}

/**
 * Tells what objects are there, in git's words (`commit`, `tree`, `blob`, `tag`) by their names; `undefined` for one
 * that is not.
 */
export async function describeObjects(
  request: Pick<ObjectsRequest, 'remote' | 'repository' | 'signal'>,
  names: readonly string[],
): Promise<readonly (string | undefined)[]> {
  const call = { args: ['cat-file', '--batch-check'], input: names.map((name) => `${name}\n`) };
  const text = await run(request, { ...call, env: localEnvironment(request) });
  return text.split('\n').map((line) => /^[0-9a-f]+ (\w+) \d+$/.exec(line)?.[1]);
}

/** The environment for work on objects that are there: no server is asked. */
export function localEnvironment({ remote, repository }: Pick<ObjectsRequest, 'remote' | 'repository'>) {
  const { programs, work } = remote.world;
  return gitEnvironment({ programs, work, repository });
}

async function fetchOne(request: ObjectsRequest): Promise<void> {
  const { remote, repository, commit } = request;
  const { programs, work } = remote.world;
  const format = commit.length === 64 ? 'sha256' : 'sha1';
  const init = ['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, '--', repository];
  await run(request, { args: init, env: gitEnvironment({ programs, work }) });
  const options = ['--no-tags', '--no-write-fetch-head', '--no-recurse-submodules', '--no-auto-maintenance'];
  await download(request, {
    args: ['fetch', '--progress', '--depth=1', ...options, '--', remote.url.text, commit],
    env: gitEnvironment({ ...remote.world, repository }),
  });
}

/** A clone writes all refs into one file; a fetch makes one of each, and a server may have any number. */
async function fetchAll(request: ObjectsRequest): Promise<void> {
  const { remote, repository } = request;
  await rm(repository, { recursive: true });
  const options = ['--bare', '--no-single-branch', '--template=', `--depth=${WHOLE_HISTORY}`];
  await download(request, {
    args: ['clone', '--progress', ...options, '--', remote.url.text, repository],
    env: gitEnvironment(remote.world),
  });
}

/**
 * Runs a git that downloads, within the budget. Its `--depth` also keeps git from the old HTTP protocol that needs no
 * git at the other end, and has no bounds.
 */
async function download(request: ObjectsRequest, call: Pick<GitCall, 'args' | 'env'>): Promise<void> {
  const { remote, repository, budget, signal, onProgress } = request;
  const maxFileBytes = budget.takeDownload(0);
  const guard = createStallGuard(request.silenceMs, signal);
  const tooLarge = new AbortController();
  const onLine = (line: string): void => {
    guard.seen();
    onProgress(plainLine(line, remote.secrets));
    if (receivedBytes(line) > maxFileBytes) tooLarge.abort(downloadTooLarge(budget.limits));
  };
  try {
    const either = AbortSignal.any([guard.signal, tooLarge.signal]);
    await run({ remote, signal: either }, { ...call, maxFileBytes, onLine });
  } catch (error) {
    signal.throwIfAborted();
    if (guard.stalled()) throw silent(remote, request.silenceMs);
    // Git itself says of a file that may grow no further only that its reader ended.
    if ((await downloadedBytes(repository)) >= maxFileBytes) throw downloadTooLarge(budget.limits);
    throw error;
  } finally {
    guard.stop();
  }
  budget.takeDownload(await downloadedBytes(repository));
}

async function run(
  { remote, signal }: Pick<ObjectsRequest, 'remote' | 'signal'>,
  call: Omit<GitCall, 'cwd' | 'signal'>,
): Promise<string> {
  const { programs, work } = remote.world;
  return await runGit(programs, { ...call, cwd: work, signal }, readText(BATCH_CHECK_BYTES));
}

/** What servers of before protocol version 2, and those in Java, say to a commit that no ref names. */
function isOldServer(error: unknown): boolean {
  return (
    error instanceof ProcessFailed &&
    error.lines.some((line) => /unadvertised object|want [0-9a-f]+ not valid/i.test(line))
  );
}

const UNIT = { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** What git's progress says was received: "Receiving objects:  83% (5/6), 12.41 MiB | 24.82 MiB/s". */
export function receivedBytes(line: string): number {
  const [, amount = '0', unit = 'bytes'] = /^Receiving objects: .*, ([\d.]+) (bytes|KiB|MiB|GiB)\b/.exec(line) ?? [];
  return Number(amount) * UNIT[unit as keyof typeof UNIT];
}

/** Everything that is received is one pack, finished or not. */
async function downloadedBytes(repository: string): Promise<number> {
  const folder = join(repository, 'objects', 'pack');
  try {
    const packs = (await readdir(folder)).filter((name) => name.endsWith('.pack') || name.startsWith('tmp_pack_'));
    const sizes = await Promise.all(packs.map(async (name) => (await stat(join(folder, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

function silent(remote: Remote, silenceMs: number): DomainError {
  const message = `cannot fetch from ${remote.url.text}: the server sent nothing for ${silenceMs / 1000} s`;
  return new DomainError('SOURCE_UNAVAILABLE', message, { hint: 'Try again later.' });
}

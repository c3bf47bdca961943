import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import type { FoundSource, ReadableSource } from '../contracts/source-reading.ts';
import type { ComposeReport, FetchedTree, GitPorts, ReportComposeFile } from './git-ports.ts';
import { createReadSource } from './read-source.ts';

const COMMIT = 'c'.repeat(40);
const TAKEN = { refusalCode: '', refusal: '', hint: '', builds: [] };
const BUILD = { service: 'web', folder: 'web', dockerfilePath: 'Dockerfile' };

/** Reads a tree of these files; tells what the control plane was told. */
async function read(
  files: Record<string, string>,
  wish: Partial<ReadableSource> = {},
  answer: Partial<typeof TAKEN> = {},
) {
  const reports: ComposeReport[] = [];
  const fetched: FetchedTree = {
    tree: { files: Object.keys(files), contents: {} },
    pack: () => {
      throw new Error('nothing is built');
    },
    read: async (path) => files[path] ?? null,
    digest: async (folders) => Object.fromEntries(folders.map(({ service }) => [service, 'f'.repeat(64)])),
  };
  const git: Pick<GitPorts, 'withCommit'> = { withCommit: async (_of, _options, use) => await use(fetched) };
  const reportComposeFile: ReportComposeFile = async (report) => {
    reports.push(report);
    return { ...TAKEN, builds: report.complete ? [] : [BUILD], ...answer };
  };
  const { readSource } = createReadSource({ git, reportComposeFile });
  const repository = { url: 'https://git.example.test/a', ref: 'main', subdirectory: '', submodules: false };
  const source = { ...repository, composePath: null, onlyCompose: false, ...wish, commit: COMMIT };
  const input = { deploymentId: 'd', revision: 1, service: 'app', source };
  const found = (await new MockActivityEnvironment().run(readSource, input)) as FoundSource;
  return { found, reports };
}

describe('reading a source', () => {
  it('tells the file and the settings beside it, then what is built from, and answers with neither', async () => {
    const file = 'services: { web: { build: web, environment: { A: canary } } }';
    const { found, reports } = await read({ 'compose.yaml': file, '.env': 'B=canary' });
    expect(found).toEqual({ kind: 'compose', reason: 'the Compose file compose.yaml at its root' });
    const report = { deploymentId: 'd', revision: 1, path: 'compose.yaml', file, environmentFile: 'B=canary' };
    expect(reports).toEqual([
      { ...report, contexts: {}, complete: false },
      { ...report, contexts: { web: 'f'.repeat(64) }, complete: true },
    ]);
  });

  it('tells nothing where there is something else to build, and looks past it when a file is asked for', async () => {
    const files = {
      Dockerfile: 'FROM x',
      'compose.yaml': 'services: {}',
      'deploy/stack.yaml': 'x',
      'deploy/.env': 'C=1',
    };
    const { found, reports } = await read(files);
    expect([found.kind, reports]).toEqual(['image', []]);
    expect(found.reason).toContain('taken with --compose');
    expect((await read(files, { onlyCompose: true })).reports[0]?.path).toBe('compose.yaml');
    const named = await read(files, { onlyCompose: true, composePath: 'deploy/stack.yaml' });
    expect(named.reports[1]).toMatchObject({ path: 'deploy/stack.yaml', file: 'x', environmentFile: 'C=1' });
  });

  it.each<[Record<string, string>, Partial<ReadableSource>, string]>([
    [{ Dockerfile: '' }, { onlyCompose: true }, 'looked for a Compose file'],
    [{ 'compose.yaml': '' }, { onlyCompose: true, composePath: 'other.yaml' }, 'looked for other.yaml'],
    [{ 'compose.yaml': '' }, { onlyCompose: true, composePath: 'a/other.yaml' }, 'it has no file "a/other.yaml"'],
    [{ 'README.md': '' }, {}, 'looked for a Dockerfile'],
  ])('is refused for %j with %j', async (files, wish, message) => {
    const refusal = expect.objectContaining({ code: 'SOURCE_REFUSED', message: expect.stringContaining(message) });
    await expect(read(files, wish)).rejects.toEqual(refusal);
  });

  it('fails with the reason of the control plane, finally', async () => {
    const refusal = { refusal: 'compose.yaml of commit c: services.web.privileged: no', hint: 'Correct it.' };
    const file = { 'compose.yaml': 'x' };
    const failure = read(file, {}, { ...refusal, refusalCode: 'INVALID_ARGUMENT' });
    await expect(failure).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
      message: refusal.refusal,
      hint: 'Correct it.',
    });
    const tooLarge = read(file, {}, { ...refusal, refusalCode: 'INSUFFICIENT_CAPACITY' });
    await expect(tooLarge).rejects.toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });
  });
});

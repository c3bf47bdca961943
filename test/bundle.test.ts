import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../adapters/logging/log.ts';
import { bundleWorkflows } from '../adapters/temporal/workflow-bundle.ts';

const MAX_BUNDLE_BYTES = 3 * 1024 * 1024;

const log = createLog({ role: 'test', level: 'silent' });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-bundle-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the workflow bundle', { timeout: 60_000 }, () => {
  it('is made of nothing that the sandbox refuses, holds every workflow, and stays small', async () => {
    const { code } = await bundleWorkflows(log, join(folder, 'whole.json'));
    for (const workflow of ['deployment', 'node', 'buildImage']) expect(code).toContain(workflow);
    expect(code).toContain('encodeCommonAttributes');
    expect(code.length).toBeLessThan(MAX_BUNDLE_BYTES);
  });

  it('is kept as long as nothing that went into it has changed', async () => {
    const file = join(folder, 'kept.json');
    const { code } = await bundleWorkflows(log, file);
    const kept = JSON.parse(await readFile(file, 'utf8'));
    const sources = Object.keys(kept.sources);
    for (const path of ['workflows/deployment.ts', 'domain/rollout.ts', 'adapters/temporal/failure-converter.ts'])
      expect(sources).toContain(path);
    expect(sources.some((path) => path.startsWith('node_modules/@temporalio/workflow/'))).toBe(true);

    const withChange = async (change: object): Promise<string> => {
      await writeFile(file, JSON.stringify({ ...kept, code: 'the one that was kept', ...change }));
      return (await bundleWorkflows(log, file)).code;
    };
    expect(await withChange({})).toBe('the one that was kept');
    const changed = { ...kept.sources, 'domain/rollout.ts': 'of another content' };
    for (const change of [{ sources: changed }, { versions: 'others' }, { sources: {} }]) {
      expect(await withChange(change)).toBe(code);
    }
    await writeFile(file, '{"versions":');
    expect((await bundleWorkflows(log, file)).code).toBe(code);
  });
});

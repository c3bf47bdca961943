import { describe, expect, it } from 'vitest';
import { createLog } from '../adapters/logging/log.ts';
import { bundleWorkflows } from '../adapters/temporal/worker.ts';

const MAX_BUNDLE_BYTES = 3 * 1024 * 1024;

describe('the workflow bundle', () => {
  it('is made of nothing that the sandbox refuses, holds every workflow, and stays small', async () => {
    const { code } = await bundleWorkflows(createLog({ role: 'test', level: 'silent' }));
    for (const workflow of ['deployment', 'node', 'buildImage']) expect(code).toContain(workflow);
    expect(code).toContain('encodeCommonAttributes');
    expect(code.length).toBeLessThan(MAX_BUNDLE_BYTES);
  }, 60_000);
});

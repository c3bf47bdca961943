import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundle } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { createDataConverter, FAILURE_CONVERTER_PATH } from '../../adapters/temporal/data-converter.ts';
import { installTemporalLog } from '../../adapters/temporal/worker.ts';
import { bundleWorkflows } from '../../adapters/temporal/workflow-bundle.ts';
import { RECORDING_KEYS, SCENARIOS } from './scenarios.ts';

const HISTORIES = join(import.meta.dirname, 'histories');
const silent = createLog({ role: 'test', level: 'silent' });

async function replay(workflowBundle: WorkflowBundle, file: string): Promise<void> {
  const history = proto.temporal.api.history.v1.History.decode(await readFile(join(HISTORIES, file)));
  const dataConverter = createDataConverter({ payloadKeys: RECORDING_KEYS });
  await Worker.runReplayHistory({ workflowBundle, dataConverter }, history);
}

describe('replay', { timeout: 60_000 }, () => {
  let today: WorkflowBundle;
  beforeAll(async () => {
    installTemporalLog(silent);
    today = await bundleWorkflows(silent);
  }, 60_000);

  it.each(readdirSync(HISTORIES))("continues yesterday's run: %s", async (file) => {
    await replay(today, file);
  });

  it('has a history of every scenario', () => {
    const recorded = readdirSync(HISTORIES);
    for (const { name } of SCENARIOS) expect(recorded).toContain(`${name}.binpb`);
  });

  it('refuses a change that breaks running workflows', async () => {
    const changed = await bundleWorkflowCode({
      workflowsPath: join(import.meta.dirname, 'incompatible/registry.ts'),
      failureConverterPath: FAILURE_CONVERTER_PATH,
      logger: new DefaultLogger('ERROR'),
    });
    await expect(replay(changed, 'deploy-two-replicas.binpb')).rejects.toThrow(/nondeterminism|determinism/i);
  });
});

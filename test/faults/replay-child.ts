import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { createLog } from '../../adapters/logging/log.ts';
import { createKeyring } from '../../adapters/sealing/keyring.ts';
import { createDataConverter } from '../../adapters/temporal/data-converter.ts';
import { installTemporalLog } from '../../adapters/temporal/worker.ts';
import { bundleWorkflows } from '../../adapters/temporal/workflow-bundle.ts';
import type { ReplayAnswer, ReplayTask } from './replays.ts';
import { REPORTS_DIR } from './report.ts';

/** Replays histories for its parent with today's workflows, for as long as the parent wants. */
const { History } = proto.temporal.api.history.v1;
const folder = join(REPORTS_DIR, 'histories');
const log = createLog({ role: 'test', level: 'silent' });
installTemporalLog(log);
const workflowBundle = await bundleWorkflows(log);

process.on('message', (task) => void replay(task as ReplayTask).then((answer) => process.send?.(answer)));
process.once('disconnect', () => process.exit(0));
process.send?.('ready');

async function replay({ id, payloadKey, histories }: ReplayTask): Promise<ReplayAnswer> {
  const dataConverter = createDataConverter({ payloadKeys: createKeyring(payloadKey) });
  const decoded = histories.map(({ workflowId, encoded }) => ({ workflowId, history: History.decode(encoded) }));
  const breaks: string[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle, dataConverter }, decoded)) {
    if (!error) continue;
    const encoded = histories.find((history) => history.workflowId === workflowId)?.encoded ?? new Uint8Array();
    const file = join(folder, `${workflowId.replaceAll('/', '-')}.binpb`);
    await mkdir(folder, { recursive: true });
    await writeFile(file, encoded);
    breaks.push(`${workflowId} does not replay, kept as ${file}: ${String(error)}`);
  }
  return { id, breaks };
}

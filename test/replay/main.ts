import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { createLog } from '../../adapters/logging/log.ts';
import { readKeyring } from '../../adapters/sealing/keyring.ts';
import { createDataConverter } from '../../adapters/temporal/data-converter.ts';
import { installTemporalLog } from '../../adapters/temporal/worker.ts';
import { bundleWorkflows } from '../../adapters/temporal/workflow-bundle.ts';

/**
 * Replays histories that `obiente operation <id> --history <file>` has written with the workflows of this checkout, away
 * from any server: says whether they would go on as they were, and if not, at which event they part.
 */
const STATE_DIR = process.env.OBIENTE_STATE_DIR || join(import.meta.dirname, '../../.obiente');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { key: { type: 'string', default: join(STATE_DIR, 'keys', 'payload.key') } },
});

if (positionals.length === 0) {
  process.stderr.write('usage: npm run replay -- <file>... [--key <file of payload keys>]\n');
  process.exit(2);
}
const log = createLog({ role: 'replay', level: 'silent' });
installTemporalLog(log);
const workflowBundle = await bundleWorkflows(log);
const dataConverter = createDataConverter({ payloadKeys: await readKeyring(values.key, '--key') });
let broken = 0;
for (const file of positionals) {
  const history = proto.temporal.api.history.v1.History.decode(await readFile(file));
  try {
    await Worker.runReplayHistory({ workflowBundle, dataConverter }, history);
    process.stdout.write(`✓ ${file}: ${history.events.length} events\n`);
  } catch (error) {
    broken += 1;
    process.stdout.write(`✗ ${file}: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}
process.exit(broken === 0 ? 0 : 1);

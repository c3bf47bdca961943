import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { startWorkflowRig } from '../support/workflow-rig.ts';
import { RECORDING_KEYS, SCENARIOS } from './scenarios.ts';

/**
 * Records the histories that today's workflows leave, for `replay.test.ts`. Run it when a shape is new, never to mend a
 * red replay: that is done by `patched()` in the workflow.
 */
const only = new Set(process.argv.slice(2));
const rig = await startWorkflowRig(RECORDING_KEYS);
try {
  for (const scenario of SCENARIOS) {
    if (only.size > 0 && !only.has(scenario.name)) continue;
    const workflowIds = await scenario.run(rig);
    for (const [index, workflowId] of workflowIds.entries()) {
      const history = await rig.client.workflow.getHandle(workflowId).fetchHistory();
      const file = join(import.meta.dirname, 'histories', `${scenario.name}${index === 0 ? '' : `-${index}`}.binpb`);
      await writeFile(file, proto.temporal.api.history.v1.History.encode(history).finish());
      process.stdout.write(`${scenario.name}: ${history.events?.length} events\n`);
    }
  }
} finally {
  await rig.stop();
}
process.exit(0);

import { join } from 'node:path';
import { nodePath } from './components/node24.mjs';
import { createContext } from './machine/context.mjs';
import { runOnNode24 } from './machine/run-on-node24.mjs';
import { reportingFailure, setup } from './setup.mjs';

await reportingFailure(async () => {
  const context = createContext();
  await setup({ context });
  const supervisor = join(context.root, 'workers', 'dev.ts');
  process.exitCode = await runOnNode24(context, nodePath(context.root), [supervisor, ...process.argv.slice(2)]);
});

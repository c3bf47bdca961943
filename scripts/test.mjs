import { createContext } from './machine/context.mjs';
import { runOnNode24 } from './machine/run-on-node24.mjs';
import { reportingFailure, setup } from './setup.mjs';

await reportingFailure(async () => {
  const context = createContext();
  await setup({ context });
  process.exitCode = await runOnNode24(context, 'vitest', ['run', ...process.argv.slice(2)]);
});

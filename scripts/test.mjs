import { createContext } from './machine/context.mjs';
import { runGates, STATIC_GATES } from './machine/gates.mjs';
import { runOnNode24 } from './machine/run-on-node24.mjs';
import { reportingFailure, setup } from './setup.mjs';

/** All gates and all tests; with arguments only the tests that they name, given to vitest as they are. */
await reportingFailure(async () => {
  const context = createContext();
  await setup({ context, forTests: true });
  const named = process.argv.slice(2);
  const gates = named.length === 0 ? await runGates(context, STATIC_GATES) : 0;
  process.exitCode = (await runOnNode24(context, 'vitest', ['run', ...named])) || gates;
});

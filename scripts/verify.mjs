import { createContext } from './machine/context.mjs';
import { runGates, STATIC_GATES } from './machine/gates.mjs';
import { reportingFailure, setup } from './setup.mjs';

/** Everything that needs no server: what to run before every commit. */
await reportingFailure(async () => {
  const context = createContext();
  await setup({ context, components: ['dependencies', 'node'] });
  process.exitCode = await runGates(context, [...STATIC_GATES, ['tests', 'vitest', 'run', '--project', 'fast']]);
});

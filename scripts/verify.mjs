import { createContext } from './machine/context.mjs';
import { runOnNode24 } from './machine/run-on-node24.mjs';
import { reportingFailure, setup } from './setup.mjs';

/** Everything that needs no server, in the order in which a mistake shows soonest. */
const GATES = [
  ['format and lint', 'biome', 'ci', '--error-on-warnings'],
  ['types', 'tsc', '--noEmit', '-p', '.'],
  ['contract', 'buf', 'lint'],
  ['tests', 'vitest', 'run', '--exclude', 'test/{integration,cluster,faults,browser}/**'],
];

await reportingFailure(async () => {
  const context = createContext();
  await setup({ context, components: ['dependencies', 'node', 'temporal', 'postgres'] });
  for (const [gate, command = '', ...args] of GATES) {
    const startedAt = Date.now();
    const code = await runOnNode24(context, command, args);
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    process.stderr.write(`${code === 0 ? '✓' : '✗'} ${gate}, ${seconds} s\n`);
    if (code === 0) continue;
    process.exitCode = code;
    return;
  }
});

import { createContext } from './machine/context.mjs';
import { runOnNode24 } from './machine/run-on-node24.mjs';
import { reportingFailure, setup } from './setup.mjs';

/** Folders whose tests start servers; npm test runs them too. */
const NEEDS_SERVERS = [
  'adapters/{docker,postgres,temporal,traefik}/**',
  'test/{browser,cli,cluster,faults,ingress,integration,supervisor,workflows}/**',
];

/** Everything that needs no server, in the order in which a mistake shows soonest. */
const GATES = [
  ['format and lint', 'biome', 'ci', '--error-on-warnings', ...(process.stdout.isTTY ? [] : ['--colors=off'])],
  ['types', 'tsc', '--noEmit', '-p', '.'],
  ['contract', 'buf', 'lint'],
  ['tests', 'vitest', 'run', ...NEEDS_SERVERS.flatMap((folder) => ['--exclude', folder])],
];

await reportingFailure(async () => {
  const context = createContext();
  await setup({ context, components: ['dependencies', 'node', 'postgres'] });
  for (const [gate, command = '', ...args] of GATES) {
    const startedAt = Date.now();
    const code = await runOnNode24(context, command, args);
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    process.stderr.write(`${code === 0 ? '✓' : '✗'} ${gate}, ${seconds} s\n`);
    process.exitCode ||= code;
  }
});

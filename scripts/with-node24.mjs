import { createContext } from './machine/context.mjs';
import { runOnNode24 } from './machine/run-on-node24.mjs';
import { SetupError } from './machine/setup-error.mjs';
import { reportingFailure, setup } from './setup.mjs';

/** Parts that a script may ask for with `--needs=docker,temporal` before the command; `all` means every one. */
const NEEDS = '--needs=';

await reportingFailure(async () => {
  const given = process.argv.slice(2);
  const needs = given[0]?.startsWith(NEEDS) ? given.shift()?.slice(NEEDS.length) : undefined;
  const [command, ...args] = given;
  if (command === undefined) {
    throw new SetupError('no command given', { hint: 'use node scripts/with-node24.mjs [--needs=…] <command> [args]' });
  }
  const context = createContext();
  const wanted = needs?.split(',') ?? [];
  await setup(wanted.includes('all') ? { context } : { context, components: ['dependencies', 'node', ...wanted] });
  process.exitCode = await runOnNode24(context, command, args);
});

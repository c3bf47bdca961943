import { join } from 'node:path';
import { nodePath } from './components/node24.mjs';
import { createContext } from './machine/context.mjs';
import { runOnNode24 } from './machine/run-on-node24.mjs';
import { reportingFailure, setup } from './setup.mjs';

const USAGE = `usage: npm start

Sets up what is missing, then runs the whole platform on this machine until Ctrl-C. It takes no arguments: ports, folders
and the like are variables of the environment, which .env.example describes.
`;

const [argument] = process.argv.slice(2);
if (argument !== undefined) {
  const isHelp = argument === '--help' || argument === '-h';
  (isHelp ? process.stdout : process.stderr).write(isHelp ? USAGE : `npm start takes no ${argument}\n\n${USAGE}`);
  process.exit(isHelp ? 0 : 2);
}

await reportingFailure(async () => {
  const context = createContext();
  await setup({ context });
  const supervisor = join(context.root, 'workers', 'dev.ts');
  process.exitCode = await runOnNode24(context, nodePath(context.root), [supervisor]);
});

import { dirname } from 'node:path';
import { roleOf, runAsProcess } from './roles.ts';

const args = process.argv.slice(2);
const role = roleOf(args);

if (role !== undefined) {
  await runAsProcess(role);
} else {
  process.exitCode = await runCommand();
}

async function runCommand(): Promise<number> {
  const interrupt = new AbortController();
  // The first Ctrl-C ends the waiting in order; a second one finds no handler and ends the process.
  process.once('SIGINT', () => interrupt.abort());
  process.stdout.on('error', endOnBrokenPipe);
  // Not before: a process that runs a role needs none of it.
  const { run } = await import('./program.ts');
  return await run(args, {
    env: process.env,
    cwd: process.cwd(),
    checkout: dirname(import.meta.dirname),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: interrupt.signal,
  });
}

/** Whoever reads the output, `head` for example, has enough. */
function endOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

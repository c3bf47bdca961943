import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { OperationFailed } from '../failures.ts';
import type { HostRole } from './node-files.ts';

/**
 * Runs the roles of this host as children of this process until it is interrupted, or one of them ends: then the others
 * end as well.
 *
 * @throws when a role has ended by itself.
 */
export async function runRoles(roles: readonly HostRole[], cwd: string, signal: AbortSignal): Promise<void> {
  const children = roles.map(({ role, command: [program = '', ...args] }) => {
    return { role, child: spawn(program, args, { cwd, stdio: 'inherit' }) };
  });
  const stop = (): void => {
    for (const { child } of children) child.kill('SIGTERM');
  };
  const onTerm = (): void => stop();
  process.once('SIGTERM', onTerm);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const first = await Promise.race(children.map(async ({ role, child }) => `${role} ended ${await endOf(child)}`));
    if (!signal.aborted) stop();
    await Promise.all(children.map(({ child }) => endOf(child)));
    if (!signal.aborted && !first.endsWith('in order')) {
      const failure = { code: 'INTERNAL', message: `the role ${first}`, hint: 'Look at what it printed.' };
      throw new OperationFailed({ ...failure, lastLines: [] });
    }
  } finally {
    process.removeListener('SIGTERM', onTerm);
  }
}

async function endOf(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.exitCode === 0) return 'in order';
  return child.signalCode === null ? `with code ${child.exitCode}` : `by ${child.signalCode}`;
}

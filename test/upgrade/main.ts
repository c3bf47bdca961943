import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { cleaningUp } from '../../bench/clean-up.ts';
import { createTestInstallation } from '../support/installation.ts';
import { startCheckout } from '../support/started-checkout.ts';
import { openApplications } from './applications.ts';

/**
 * Upgrades a platform in the middle of deploys: one whose replicas are starting, one that is being built, one that waits
 * for a person. They are asked of the previous commit, whose processes are then stopped and replaced by those of this
 * checkout, which have to carry all of it out.
 */
const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const { values } = parseArgs({ options: { from: { type: 'string', default: 'HEAD~1' } } });

process.exit(await cleaningUp(upgrade));

async function upgrade(stack: AsyncDisposableStack): Promise<number> {
  const { stdout } = await run('git', ['rev-parse', '--verify', `${values.from}^{commit}`], { cwd: ROOT });
  const commit = stdout.trim();
  const previous = await checkOut(commit, stack);
  const installation = await createTestInstallation();
  stack.defer(installation.remove);
  const applications = await openApplications(installation, stack);

  say(`starting ${commit.slice(0, 12)}`);
  const stop = await startCheckout(previous, installation, stack);
  await applications.deploy();
  say('deployed; asking for changes that take a while');
  await applications.change();
  say(`stopping ${commit.slice(0, 12)} in the middle of them`);
  await stop();
  say('starting this checkout');
  await startCheckout(ROOT, installation, stack);
  const findings = await applications.findings();
  for (const { name, problem } of findings) say(`${problem === '' ? '✓' : '✗'} ${name}${problem && `: ${problem}`}`);
  return findings.every(({ problem }) => problem === '') ? 0 : 1;
}

/** The commit in a folder of its own; it installs its own packages where they are not the same. */
async function checkOut(commit: string, stack: AsyncDisposableStack): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), 'obiente-upgrade-')), 'previous');
  stack.defer(() => rm(join(folder, '..'), { recursive: true, force: true }));
  await run('git', ['worktree', 'add', '--detach', folder, commit], { cwd: ROOT });
  stack.defer(async () => void (await run('git', ['worktree', 'remove', '--force', folder], { cwd: ROOT })));
  const [theirs, ours] = await Promise.all(
    [folder, ROOT].map((root) => readFile(join(root, 'package-lock.json'), 'utf8')),
  );
  if (theirs === ours) await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

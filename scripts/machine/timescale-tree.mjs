import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDebianPackages, isDebianRoot } from './debian.mjs';
import { withLock } from './lock.mjs';
import { findProgram, isExecutable, runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

const ARCHIVE = 'http://deb.debian.org/debian';
const RELEASE = 'trixie';
const PACKAGE = 'postgresql-17-timescaledb';

/** Where PostgreSQL is within the tree. */
export const TIMESCALE_BIN = '/usr/lib/postgresql/17/bin';

/**
 * A folder that holds PostgreSQL 17 with the Apache edition of TimescaleDB as Debian has it, to be entered by `chroot`.
 * Made once, and shared by all checkouts of this user.
 *
 * @param {SetupContext} context
 * @returns {Promise<string>} its path
 * @throws {SetupError} where it cannot be made: it needs Debian, and root
 */
export async function ensureTimescaleTree(context) {
  const tree = join(context.cacheDir, 'timescale-tree');
  const onWait = (/** @type {number} */ pid) =>
    context.progress.note(`waiting for process ${pid}, which makes a tree of TimescaleDB`);
  await withLock(`${tree}.lock`, { onWait }, async () => {
    if (isExecutable(join(tree, TIMESCALE_BIN, 'postgres'))) return;
    if (!isDebianRoot()) {
      throw new SetupError('there is no TimescaleDB', {
        hint: 'name a server of your own: TIMESCALE_APACHE_URL or TIMESCALE_COMMUNITY_URL',
      });
    }
    if (findProgram('debootstrap', { env: context.env, alsoIn: ['/usr/sbin'] }) === undefined) {
      await ensureDebianPackages(context, ['debootstrap'], 'it unpacks TimescaleDB of another release of Debian');
    }
    for (const entry of readdirSync(context.cacheDir)) {
      if (entry.startsWith('.timescale-')) rmSync(join(context.cacheDir, entry), { recursive: true, force: true });
    }
    const work = mkdtempSync(join(context.cacheDir, '.timescale-'));
    try {
      const why = 'the stored metrics are tested on it; takes two to three minutes and 700 MB, once';
      const step = { what: `unpacking TimescaleDB of Debian ${RELEASE} with debootstrap`, why };
      await context.progress.during(step, () =>
        runCommand('debootstrap', ['--variant=minbase', `--include=${PACKAGE}`, RELEASE, work, ARCHIVE]),
      );
      renameSync(work, tree);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return tree;
}

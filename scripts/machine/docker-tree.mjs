import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDebianPackages, isDebianRoot } from './debian.mjs';
import { withLock } from './lock.mjs';
import { findProgram, isExecutable, runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

const ARCHIVE = 'http://deb.debian.org/debian';
const PACKAGES = ['docker.io', 'iptables', 'ca-certificates'];

/** Which release of Debian has which Docker Engine. @type {Readonly<Record<string, string>>} */
const RELEASES = { '20.10': 'bookworm', 26: 'trixie', 28: 'sid' };

/** Versions of Docker Engine that can be had as a tree. */
export const DOCKER_TREES = Object.keys(RELEASES);

/**
 * A folder that holds a Docker Engine of this version with all that it needs, to be entered by `chroot`. Made once, of
 * a Debian release's packages, and shared by all checkouts of this user.
 *
 * @param {SetupContext} context
 * @param {string} version one of {@link DOCKER_TREES}
 * @returns {Promise<string>} its path
 * @throws {SetupError} where there is no such version, or it cannot be made here
 */
export async function ensureDockerTree(context, version) {
  const release = RELEASES[version];
  if (release === undefined) {
    throw new SetupError(`there is no Docker Engine ${version} to be had, only ${DOCKER_TREES.join(', ')}`);
  }
  const folder = join(context.cacheDir, 'docker-trees');
  const tree = join(folder, version);
  const onWait = (/** @type {number} */ pid) =>
    context.progress.note(`waiting for process ${pid}, which makes a tree of Docker Engine ${version}`);
  await withLock(`${tree}.lock`, { onWait }, async () => {
    if (isExecutable(programOf(tree))) return;
    await ensureDebootstrap(context);
    for (const entry of readdirSync(folder)) {
      if (entry.startsWith(`.${version}-`)) rmSync(join(folder, entry), { recursive: true, force: true });
    }
    const work = mkdtempSync(join(folder, `.${version}-`));
    try {
      const why = 'some hosts of the cluster shall run this version; takes a minute and 560 MB, once';
      const step = { what: `unpacking Docker Engine ${version} of Debian ${release} with debootstrap`, why };
      await context.progress.during(step, () =>
        runCommand('debootstrap', ['--variant=minbase', `--include=${PACKAGES.join(',')}`, release, work, ARCHIVE]),
      );
      await requireVersion(work, version, release);
      renameSync(work, tree);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return tree;
}

/** @param {string} tree */
function programOf(tree) {
  return join(tree, 'usr', 'sbin', 'dockerd');
}

/** @param {SetupContext} context */
async function ensureDebootstrap(context) {
  if (findProgram('debootstrap', { env: context.env, alsoIn: ['/usr/sbin'] }) !== undefined) return;
  if (!isDebianRoot())
    throw new SetupError('there is no debootstrap', { hint: 'install debootstrap, and run as root' });
  await ensureDebianPackages(context, ['debootstrap'], 'it unpacks Docker Engines of other releases of Debian');
}

/** A release that is still in the making has a newer one some day. @param {string} tree @param {string} version @param {string} release */
async function requireVersion(tree, version, release) {
  const said = await runCommand('chroot', [tree, 'dockerd', '--version']);
  if (said.includes(`version ${version}.`)) return;
  throw new SetupError(`Debian ${release} has no Docker Engine ${version} any more: ${said.trim()}`);
}

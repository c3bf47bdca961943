import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ensureDebianPackages, isDebianRoot } from './debian.mjs';
import { withLock } from './lock.mjs';
import { findProgram, runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */
/**
 * What a guest is booted from; none of it is ever written to.
 *
 * @typedef {object} GuestImage
 * @property {string} disk a raw image of one ext4 file system
 * @property {string} kernel
 * @property {string} initrd
 */

const ARCHIVE = 'http://deb.debian.org/debian';
const RELEASE = 'trixie';
/** A guest that boots by systemd, with cgroups of version 2 only, and has a Docker Engine. */
const PACKAGES = [
  ...['linux-image-amd64', 'initramfs-tools', 'zstd', 'kmod', 'systemd-sysv', 'dbus', 'libpam-systemd', 'udev'],
  ...['docker.io', 'iptables', 'ca-certificates', 'busybox-static'],
];
/** What the first file system is mounted with. All other modules are on it: with these alone the kernel is up in a third of the time. */
const FIRST_MODULES = ['virtio_pci', 'virtio_blk', 'ext4'];
/** Of which it takes as much as is in use. */
const DISK_SIZE = '6G';

/** Programs that make and run a guest, with the packages of Debian that have them. */
const PROGRAMS = {
  debootstrap: 'debootstrap',
  'mkfs.ext4': 'e2fsprogs',
  'qemu-system-x86_64': 'qemu-system-x86',
};

/**
 * A disk with Debian 13 and its Docker Engine, and the kernel to boot it with. Made once, and shared by all checkouts of
 * this user.
 *
 * @param {SetupContext} context
 * @returns {Promise<GuestImage>}
 * @throws {SetupError} where it cannot be made or run: it needs Debian on x86-64, and root
 */
export async function ensureGuestImage(context) {
  await ensurePrograms(context);
  const recipe = createHash('sha256')
    .update(JSON.stringify([RELEASE, PACKAGES, FIRST_MODULES, DISK_SIZE]))
    .digest('hex');
  const folder = join(context.cacheDir, 'guest');
  const made = join(folder, recipe.slice(0, 12));
  const image = { disk: join(made, 'disk.img'), kernel: join(made, 'vmlinuz'), initrd: join(made, 'initrd') };
  const onWait = (/** @type {number} */ pid) =>
    context.progress.note(`waiting for process ${pid}, which makes the disk of a guest`);
  await withLock(join(folder, 'lock'), { onWait }, async () => {
    if (existsSync(made)) return;
    // Of other recipes, and of those who were killed.
    for (const entry of readdirSync(folder)) {
      if (!entry.startsWith('lock')) rmSync(join(folder, entry), { recursive: true, force: true });
    }
    mkdirSync(join(folder, 'making'));
    const work = mkdtempSync(join(folder, 'making', 'tree-'));
    const target = join(folder, 'making', 'image');
    mkdirSync(target);
    try {
      const why = 'a guest with cgroups of version 2 boots from it; takes two to five minutes and 600 MB, once';
      const what = `making a disk of Debian ${RELEASE} with debootstrap`;
      await context.progress.during({ what, why }, () => makeImage(work, target));
      renameSync(target, made);
    } finally {
      rmSync(join(folder, 'making'), { recursive: true, force: true });
    }
  });
  return image;
}

/** @param {SetupContext} context */
async function ensurePrograms(context) {
  const isThere = (/** @type {string} */ name) =>
    findProgram(name, { env: context.env, alsoIn: ['/usr/sbin', '/sbin'] }) !== undefined;
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isThere(program));
  if (process.arch !== 'x64') throw new SetupError(`the guest is one of x86-64, this machine is ${process.arch}`);
  if (missing.length === 0) return;
  const names = missing.map(([program]) => program).join(', ');
  if (!isDebianRoot()) throw new SetupError(`there is no ${names}`, { hint: `install ${names}, and run as root` });
  const packages = missing.map(([, name]) => name);
  await ensureDebianPackages(context, packages, 'they make and run a guest with cgroups of version 2; 150 MB');
}

/** @param {string} tree an empty folder, of no use afterwards @param {string} target where the three files go */
async function makeImage(tree, target) {
  const include = `--include=${PACKAGES.join(',')}`;
  await runCommand('debootstrap', ['--variant=minbase', include, RELEASE, tree, ARCHIVE]);
  writeFileSync(join(tree, 'etc/initramfs-tools/conf.d/first-modules'), 'MODULES=list\n');
  writeFileSync(join(tree, 'etc/initramfs-tools/modules'), `${FIRST_MODULES.join('\n')}\n`);
  await runCommand('chroot', [tree, 'update-initramfs', '-u']);
  for (const file of ['vmlinuz', 'initrd']) copyFileSync(newest(join(tree, 'boot'), file), join(target, file));
  for (const folder of ['boot', 'var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale']) {
    rmSync(join(tree, folder), { recursive: true, force: true });
  }
  writeFileSync(join(tree, 'etc/hostname'), 'guest\n');
  writeFileSync(join(tree, 'etc/fstab'), '/dev/vda / ext4 errors=remount-ro 0 1\n');
  for (const folder of ['dev', 'proc', 'sys', 'run', 'tmp']) mkdirSync(join(tree, folder), { recursive: true });
  await runCommand('mkfs.ext4', ['-q', '-F', '-m', '0', '-d', tree, join(target, 'disk.img'), DISK_SIZE]);
}

/** @param {string} folder @param {string} name before the version */
function newest(folder, name) {
  const found = readdirSync(folder)
    .filter((file) => file.startsWith(`${name}-`) || file.startsWith(`${name}.img-`))
    .sort()
    .at(-1);
  if (found === undefined) throw new SetupError(`Debian ${RELEASE} left no ${name} in ${folder}`);
  return join(folder, found);
}

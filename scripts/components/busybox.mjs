import { closeSync, openSync, readSync } from 'node:fs';
import { ensureDebianPackages, isDebianRoot } from '../machine/debian.mjs';
import { findProgram } from '../machine/run-command.mjs';
import { SetupError } from '../machine/setup-error.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

const ELF_INTERPRETER_SEGMENT = 3;

/** A static busybox: what the examples are made of where no image can be pulled. */
export const name = 'busybox';

/**
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  const path = findStaticBusybox(context);
  if (path !== undefined) return { ok: true, detail: path };
  return {
    ok: false,
    detail: 'no statically linked busybox; without it the examples pull their base image from a registry',
    fix: 'apt-get install busybox-static',
  };
}

/**
 * Installs it on Debian as root; elsewhere it stays optional.
 *
 * @param {SetupContext} context
 * @returns {Promise<{ path?: string }>}
 */
export async function ensure(context) {
  const found = findStaticBusybox(context);
  if (found !== undefined) return { path: found };
  if (!isDebianRoot()) return {};
  try {
    await ensureDebianPackages(context, ['busybox-static'], 'the examples are built from it');
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.note('no static busybox: the examples will pull their base image from a registry');
    return {};
  }
  const path = findStaticBusybox(context);
  return path === undefined ? {} : { path };
}

/** @param {SetupContext} context */
function findStaticBusybox({ env }) {
  const path = findProgram('busybox', { env, alsoIn: ['/bin', '/usr/bin'] });
  return path !== undefined && isStatic(path) ? path : undefined;
}

/**
 * @param {string} path of a program
 * @returns {boolean} whether it is a 64-bit little-endian ELF file that asks for no dynamic linker
 */
export function isStatic(path) {
  const file = openSync(path, 'r');
  try {
    const header = Buffer.alloc(4096);
    const length = readSync(file, header, 0, header.length, 0);
    if (length < 64 || header.toString('latin1', 0, 4) !== '\x7fELF' || header[4] !== 2 || header[5] !== 1)
      return false;
    const offset = Number(header.readBigUInt64LE(32));
    const size = header.readUInt16LE(54);
    const count = header.readUInt16LE(56);
    if (offset + size * count > length) return false;
    const types = Array.from({ length: count }, (_, index) => header.readUInt32LE(offset + index * size));
    return !types.includes(ELF_INTERPRETER_SEGMENT);
  } finally {
    closeSync(file);
  }
}

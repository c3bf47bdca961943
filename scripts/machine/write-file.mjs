import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Writes a file as a whole, or not at all, and leaves it untouched when it says the same already.
 *
 * @param {string} path
 * @param {string} text
 * @param {{ mode?: number }} [options]
 * @returns {boolean} whether anything was written
 */
export function writeWhole(path, text, { mode = 0o644 } = {}) {
  if (readIfThere(path) === text) return false;
  mkdirSync(dirname(path), { recursive: true });
  const aside = `${path}.${process.pid}.tmp`;
  writeFileSync(aside, text, { mode });
  renameSync(aside, path);
  return true;
}

/**
 * @param {string} path
 * @returns {string | undefined} its text, undefined when there is no such file
 */
export function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createProgress } from './progress.mjs';

/**
 * Where the set-up works and how it speaks; every component gets one.
 *
 * @typedef {object} SetupContext
 * @property {string} root the checkout
 * @property {string} stateDir the installation's own state, mode 0700
 * @property {string} cacheDir downloads and builds, shared by all checkouts of this user
 * @property {Record<string, string | undefined>} env
 * @property {import('./progress.mjs').Progress} progress
 */

/**
 * What `check` found: quick to get, and nothing was changed to get it.
 *
 * @typedef {object} CheckResult
 * @property {boolean} ok
 * @property {string} [version]
 * @property {string} detail what was found, for people
 * @property {string} [fix] what to do when it isn't ok: an imperative sentence or a command
 */

const checkout = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * @param {{ env?: Record<string, string | undefined>, root?: string, quiet?: boolean }} [options]
 * @returns {SetupContext}
 */
export function createContext({ env = process.env, root = checkout, quiet = false } = {}) {
  return {
    root,
    env,
    stateDir: resolve(root, env.OBIENTE_STATE_DIR || '.obiente'),
    cacheDir: join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'obiente'),
    progress: createProgress({ quiet }),
  };
}

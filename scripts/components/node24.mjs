import { join } from 'node:path';
import { isExecutable, runCommand } from '../machine/run-command.mjs';
import { SetupError } from '../machine/setup-error.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

const MINIMUM_MAJOR = 24;

/** Node 24 from the npm package `node`, for everything but the set-up itself. */
export const name = 'node';

/**
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  const path = nodePath(context.root);
  if (!isExecutable(path)) return { ok: false, detail: `${path} is not there`, fix: 'npm ci' };
  const answer = (await runCommand(path, ['--version'])).trim();
  const version = answer.replace(/^v/, '');
  if (Number.parseInt(version, 10) >= MINIMUM_MAJOR) return { ok: true, version, detail: path };
  return { ok: false, version, detail: `${path} is ${answer}, at least v${MINIMUM_MAJOR} is needed`, fix: 'npm ci' };
}

/**
 * Proves that the installed Node runs; the dependencies brought it.
 *
 * @param {SetupContext} context
 * @returns {Promise<{ path: string }>}
 */
export async function ensure(context) {
  const result = await check(context);
  if (result.ok) return { path: nodePath(context.root) };
  throw new SetupError(`Node ${MINIMUM_MAJOR} did not come with the dependencies: ${result.detail}`, {
    hint: 'run npm ci and look at what the package "node" says; its install script must be allowed to run',
  });
}

/**
 * @param {string} root the checkout
 * @returns {string} where the npm package `node` puts its binary
 */
export function nodePath(root) {
  return join(root, 'node_modules', '.bin', 'node');
}

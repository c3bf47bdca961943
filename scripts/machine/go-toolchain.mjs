import { join } from 'node:path';
import { findProgram, runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

/** Longer than a build takes on a slow machine with two cores. */
const BUILD_TIMEOUT_MS = 40 * 60_000;

/**
 * Runs the Go tool with settings of its own: static binaries, no workspace, no flags from the surroundings, and a
 * newer toolchain fetched when the module asks for one.
 *
 * @param {SetupContext} context
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<string>}
 */
export function runGo(context, args, { cwd, env = {} } = {}) {
  return runCommand(goPath(context), args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: {
      ...context.env,
      CGO_ENABLED: '0',
      GOWORK: 'off',
      GOFLAGS: '-mod=mod -buildvcs=false',
      GOTOOLCHAIN: context.env.GOTOOLCHAIN ?? 'auto',
      ...env,
    },
    timeoutMs: BUILD_TIMEOUT_MS,
  });
}

/** @param {SetupContext} context */
function goPath({ env }) {
  const home = env.HOME === undefined ? [] : [join(env.HOME, 'go', 'bin')];
  const path = findProgram('go', { env, alsoIn: ['/usr/local/go/bin', '/usr/lib/go/bin', ...home] });
  if (path === undefined) throw new SetupError('there is no Go on the PATH');
  return path;
}

import { dirname, join } from 'node:path';
import { findProgram } from './run-command.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

/**
 * The npm that runs us, on a Node that `npm ci` doesn't delete under its feet.
 *
 * @param {SetupContext} context
 * @returns {{ command: string, args: string[], env: Record<string, string | undefined> }} args: what comes before npm's own
 */
export function npmCommand({ env, root }) {
  const notBelow = join(root, 'node_modules');
  const node = findProgram('node', { env, notBelow }) ?? process.execPath;
  const path = (env.PATH ?? '').split(':').filter((folder) => !`${folder}/`.startsWith(`${notBelow}/`));
  const childEnv = { ...env, PATH: [...path, dirname(node)].join(':') };
  const cli = env.npm_execpath;
  if (cli?.endsWith('npm-cli.js')) return { command: node, args: [cli], env: childEnv };
  return { command: findProgram('npm', { env, notBelow }) ?? 'npm', args: [], env: childEnv };
}

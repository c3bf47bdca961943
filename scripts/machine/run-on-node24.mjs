import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, dirname } from 'node:path';
import { nodePath } from '../components/node24.mjs';

const FORWARDED = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * Runs a program with Node 24 and this checkout's commands first on the PATH, as if it were this process: the same
 * terminal, signals passed on, its exit code ours.
 *
 * @param {{ root: string, env: Record<string, string | undefined> }} context
 * @param {string} command a path, or a name that is looked up on that PATH
 * @param {string[]} args
 * @returns {Promise<number>} the exit code; 128 + the signal's number when a signal ended it
 */
export function runOnNode24({ root, env }, command, args) {
  const bin = dirname(nodePath(root));
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: { ...env, PATH: `${bin}${delimiter}${env.PATH ?? ''}` },
  });
  // A terminal's Ctrl-C reaches the child by itself; forwarding it again would be a second one, which means "at once".
  const forward = (/** @type {NodeJS.Signals} */ signal) => {
    if (signal === 'SIGINT' && process.stdin.isTTY) return;
    child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      for (const each of FORWARDED) process.off(each, forward);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

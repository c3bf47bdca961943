import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SetupError } from './setup-error.mjs';

/** Output kept of a command, in bytes: enough for its last words, never unbounded. */
const OUTPUT_TAIL_BYTES = 64 * 1024;
/** Lines of a failed command that its error shows: some programs say the cause first, others last. */
const FIRST_LINES = 10;
const LAST_LINES = 20;

/**
 * Runs a program without a shell and keeps the end of its output.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, timeoutMs?: number, hint?: string }} [options]
 * @returns {Promise<string>} the end of standard output and standard error, as they came
 * @throws {SetupError} when it can't be started, exits with another code than 0, or takes longer than timeoutMs
 */
export function runCommand(command, args, { cwd, env, timeoutMs, hint } = {}) {
  const shown = `${command} ${args.slice(0, 4).join(' ')}${args.length > 4 ? ' …' : ''}`;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: 'SIGKILL' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let tail = '';
    const keep = (/** @type {Buffer} */ chunk) => {
      tail = (tail + chunk.toString()).slice(-OUTPUT_TAIL_BYTES);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (cause) => reject(new SetupError(`cannot start ${shown}: ${cause.message}`, { cause, hint })));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(tail);
      reject(new SetupError(`${shown} ended with ${signal ?? `code ${code}`}\n${excerpt(tail)}`, { hint }));
    });
  });
}

/** @param {string} output */
function excerpt(output) {
  const lines = output.trimEnd().split('\n');
  if (lines.length <= FIRST_LINES + LAST_LINES) return lines.join('\n');
  return [...lines.slice(0, FIRST_LINES), '…', ...lines.slice(-LAST_LINES)].join('\n');
}

/**
 * Looks a program up as a shell would.
 *
 * @param {string} name
 * @param {{ env: Record<string, string | undefined>, alsoIn?: string[], notBelow?: string }} where
 *   alsoIn: folders to try after the PATH; notBelow: ignore what lies in this folder
 * @returns {string | undefined} its absolute path
 */
export function findProgram(name, { env, alsoIn = [], notBelow }) {
  const folders = [...(env.PATH ?? '').split(delimiter), ...alsoIn].filter((folder) => folder.startsWith('/'));
  return folders
    .filter((folder) => notBelow === undefined || !`${folder}/`.startsWith(`${notBelow}/`))
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * @param {string} path
 * @returns {boolean} whether it is a file that this user may run
 */
export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Absent and forbidden come to the same: it can't be run.
    return false;
  }
}

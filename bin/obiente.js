#!/usr/bin/env -S node --
import { spawn } from 'node:child_process';
import { accessSync, constants, realpathSync } from 'node:fs';
import { constants as system } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const MINIMUM_MAJOR = 24;
/** EX_UNAVAILABLE of sysexits.h: a part that this program needs isn't there. */
const EXIT_UNAVAILABLE = 69;

const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const main = join(root, 'cli', 'main.ts');
const node = join(root, 'node_modules', '.bin', 'node');

if (!isThere(join(root, 'node_modules', '.obiente-lock-hash'), constants.R_OK) || !isThere(node, constants.X_OK)) {
  process.stderr.write('obiente is not set up in this checkout yet\n→ run npm start first\n');
  process.exitCode = EXIT_UNAVAILABLE;
} else if (Number.parseInt(process.versions.node, 10) >= MINIMUM_MAJOR) {
  await import(pathToFileURL(main).href);
} else {
  process.exitCode = await runOnOurNode();
}

/** @returns {Promise<number>} */
function runOnOurNode() {
  // Node takes some options, --env-file for one, wherever they stand, unless `--` says that it has had all of its own.
  const child = spawn(node, ['--', main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGINT'])) {
    // A terminal sends its Ctrl-C to the whole group: the child has it already.
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : system.signals[signal])));
  });
}

/** @param {string} path @param {number} mode */
function isThere(path, mode) {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    // Whatever keeps us from it, the answer for the user is the same.
    return false;
  }
}

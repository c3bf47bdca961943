import { existsSync } from 'node:fs';
import { ensureDebianPackages, isDebianRoot } from '../machine/debian.mjs';
import { ensureDaemonSettings, SYSTEM_SOCKET, startDaemon } from '../machine/docker-daemon.mjs';
import { askEngine, dockerEndpoints } from '../machine/docker-endpoint.mjs';
import { findProgram } from '../machine/run-command.mjs';
import { SetupError } from '../machine/setup-error.mjs';
import { readIfThere } from '../machine/write-file.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */
/** @typedef {import('../machine/docker-endpoint.mjs').DockerEndpoint} DockerEndpoint */

/** Docker Engine 20.10 speaks 1.41; older engines lack what the node asks for. */
const MINIMUM_API = [1, 41];
const INSTALL_COMMAND = 'sudo apt-get install docker.io iproute2 iptables busybox-static ca-certificates';
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** The Docker Engine that runs the applications. */
export const name = 'docker';

/**
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  const engine = await findEngine(context);
  if (engine.endpoint === undefined) return { ok: false, detail: engine.detail, fix: fixFor(engine.state, context) };
  const where = 'socket' in engine.endpoint ? engine.endpoint.socket : engine.endpoint.host;
  const detail = `Docker Engine ${engine.version} at ${where}`;
  if (isSupported(engine.apiVersion)) return { ok: true, version: engine.version, detail };
  const fix = 'install Docker Engine 20.10 or newer';
  return { ok: false, version: engine.version, detail: `${detail} speaks API ${engine.apiVersion}`, fix };
}

/**
 * Uses the engine that runs; else, on Debian as root, installs and starts the system's.
 *
 * @param {SetupContext} context
 * @returns {Promise<DockerEndpoint>}
 * @throws {SetupError} with the command to type when it can't do that
 */
export async function ensure(context) {
  const engine = await findEngine(context);
  if (engine.endpoint !== undefined) return requireSupported(engine.endpoint, engine.apiVersion);
  const canStart = engine.state === 'absent' && !context.env.DOCKER_HOST && isDebianRoot();
  if (!canStart) throw new SetupError(engine.detail, { hint: fixFor(engine.state, context) });
  ensureDaemonSettings(context);
  await ensureDebianPackages(context, missingPackages(context), 'the applications run on the Docker Engine');
  const answer = await askEngine({ socket: SYSTEM_SOCKET });
  if (answer.state !== 'up') await startDaemon(context);
  return await ensure(context);
}

/** @param {SetupContext} context */
async function findEngine(context) {
  const endpoints = dockerEndpoints(context.env);
  if (endpoints === undefined) {
    const detail = `DOCKER_HOST is ${context.env.DOCKER_HOST}, only unix:///… and tcp://host:port are supported`;
    return { endpoint: undefined, state: /** @type {const} */ ('unsupported'), detail };
  }
  const answers = [];
  for (const endpoint of endpoints) {
    const answer = await askEngine(endpoint);
    if (answer.state === 'up') return { endpoint, ...answer };
    answers.push(answer);
  }
  const worst = answers.find(({ state }) => state !== 'absent') ?? answers[0];
  if (worst === undefined) throw new SetupError('there is no place to look for a Docker Engine');
  return { endpoint: undefined, state: worst.state, detail: `no Docker Engine: ${worst.detail}` };
}

/** @param {DockerEndpoint} endpoint @param {string} apiVersion */
function requireSupported(endpoint, apiVersion) {
  if (isSupported(apiVersion)) return endpoint;
  throw new SetupError(`the Docker Engine speaks API ${apiVersion}, at least ${MINIMUM_API.join('.')} is needed`, {
    hint: 'install Docker Engine 20.10 or newer',
  });
}

/**
 * @param {string} apiVersion
 * @returns {boolean} whether an engine with this API can run the applications
 */
export function isSupported(apiVersion) {
  const [major = 0, minor = 0] = apiVersion.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = MINIMUM_API;
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** @param {'absent' | 'denied' | 'failed' | 'unsupported'} state @param {SetupContext} context */
function fixFor(state, { env }) {
  if (state === 'denied') return 'sudo usermod -aG docker "$USER", then sign in again';
  if (state === 'failed') return 'look at the engine: docker info';
  if (env.DOCKER_HOST) return 'correct or unset DOCKER_HOST';
  if (process.platform === 'darwin') return 'start Docker Desktop, OrbStack or Colima';
  if (findProgram('dockerd', { env, alsoIn: ['/usr/sbin'] })) {
    return existsSync('/run/systemd/system') ? 'sudo systemctl start docker' : 'sudo service docker start';
  }
  return `${INSTALL_COMMAND} (on other systems: https://docs.docker.com/engine/install/)`;
}

/** Judged by what is there, so that an engine from Docker's own packages is left alone. @param {SetupContext} context */
function missingPackages({ env }) {
  const has = (/** @type {string} */ program) =>
    findProgram(program, { env, alsoIn: ['/usr/sbin', '/sbin'] }) !== undefined;
  return [
    ...(has('dockerd') ? [] : ['docker.io']),
    ...(has('ip') ? [] : ['iproute2']),
    ...(has('iptables') ? [] : ['iptables']),
    ...(readIfThere(CERTIFICATES) === undefined ? ['ca-certificates'] : []),
  ];
}

import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';

const ANSWER_TIMEOUT_MS = 3_000;

/**
 * Where an engine may listen.
 *
 * @typedef {{ socket: string } | { host: string, port: number }} DockerEndpoint
 *
 * @typedef {{ state: 'up', version: string, apiVersion: string }
 *   | { state: 'absent' | 'denied' | 'failed', detail: string }} EngineAnswer
 */

/**
 * @param {Record<string, string | undefined>} env
 * @returns {DockerEndpoint[] | undefined} in the order to try; undefined when DOCKER_HOST names what we can't talk to
 */
export function dockerEndpoints(env) {
  if (env.DOCKER_HOST) {
    const named = parseDockerHost(env.DOCKER_HOST);
    return named && [named];
  }
  const home = env.HOME ?? homedir();
  const runtime = env.XDG_RUNTIME_DIR;
  return [
    { socket: '/var/run/docker.sock' },
    ...(runtime ? [{ socket: join(runtime, 'docker.sock') }] : []),
    { socket: join(home, '.docker', 'run', 'docker.sock') },
  ];
}

/**
 * @param {string} dockerHost
 * @returns {DockerEndpoint | undefined} undefined for anything but unix:// and tcp://
 */
export function parseDockerHost(dockerHost) {
  if (dockerHost.startsWith('unix:///')) return { socket: dockerHost.slice('unix://'.length) };
  const tcp = /^tcp:\/\/(\[[0-9a-f:]+\]|[^:/]+):(\d+)\/?$/i.exec(dockerHost);
  if (tcp?.[1] === undefined) return undefined;
  return { host: tcp[1].replace(/^\[|\]$/g, ''), port: Number(tcp[2]) };
}

/**
 * Asks an engine for its version.
 *
 * @param {DockerEndpoint} endpoint
 * @returns {Promise<EngineAnswer>} absent: nobody listens; denied: this user may not talk to it
 */
export async function askEngine(endpoint) {
  try {
    const text = await get(endpoint, '/version');
    const { Version: version, ApiVersion: apiVersion } = JSON.parse(text);
    return { state: 'up', version, apiVersion };
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    const where = 'socket' in endpoint ? endpoint.socket : `${endpoint.host}:${endpoint.port}`;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return { state: 'absent', detail: `nobody listens on ${where}` };
    if (code === 'EACCES' || code === 'EPERM') return { state: 'denied', detail: `no permission for ${where}` };
    return { state: 'failed', detail: `${where}: ${message}` };
  }
}

/** @param {DockerEndpoint} endpoint @param {string} path @returns {Promise<string>} */
function get(endpoint, path) {
  const target = 'socket' in endpoint ? { socketPath: endpoint.socket } : endpoint;
  return new Promise((resolve, reject) => {
    const call = request({ ...target, path, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`answered ${response.statusCode}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)));
    call.on('error', reject);
    call.end();
  });
}

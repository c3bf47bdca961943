import { request } from 'node:http';
import { SetupError } from './setup-error.mjs';

/** @typedef {import('./docker-endpoint.mjs').DockerEndpoint} DockerEndpoint */

const ANSWER_TIMEOUT_MS = 120_000;

/** A single program of a base image is a few MiB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

const TAR_BLOCK = 512;
const TAR_SIZE_OFFSET = 124;

/**
 * Reads one file out of an image, which is pulled unless the engine has it. No container is left, and none runs.
 *
 * @param {DockerEndpoint} endpoint
 * @param {string} image with its tag
 * @param {string} path in the image
 * @returns {Promise<Buffer>}
 * @throws {SetupError}
 */
export async function readProgramFromImage(endpoint, image, path) {
  await ensureImage(endpoint, image);
  const body = JSON.stringify({ Image: image, Cmd: ['true'] });
  const created = await ask(endpoint, { method: 'POST', path: '/containers/create', body });
  const { Id: id } = JSON.parse(accept(created, 201, `create a container of ${image}`).toString());
  try {
    const archive = await ask(endpoint, {
      method: 'GET',
      path: `/containers/${id}/archive?path=${encodeURIComponent(path)}`,
    });
    return firstFileOf(accept(archive, 200, `read ${path} of ${image}`));
  } finally {
    await ask(endpoint, { method: 'DELETE', path: `/containers/${id}?force=true` });
  }
}

/** @param {DockerEndpoint} endpoint @param {string} image */
async function ensureImage(endpoint, image) {
  const found = await ask(endpoint, { method: 'GET', path: `/images/${image}/json` });
  if (found.status === 200) return;
  const [name, tag] = image.split(':');
  const pulled = await ask(endpoint, { method: 'POST', path: `/images/create?fromImage=${name}&tag=${tag}` });
  const text = accept(pulled, 200, `pull ${image}`).toString();
  // A pull that fails half-way has answered 200 already and says so in its last line.
  const failed = /"error":"([^"]*)"/.exec(text);
  if (failed) throw new SetupError(`cannot pull ${image}: ${failed[1]}`);
}

/** @param {{ status: number, body: Buffer }} answer @param {number} expected @param {string} what */
function accept({ status, body }, expected, what) {
  if (status === expected) return body;
  throw new SetupError(`cannot ${what}: the engine answered ${status} ${body.toString('utf8', 0, 300).trim()}`);
}

/** @param {Buffer} archive a tar archive @returns {Buffer} */
export function firstFileOf(archive) {
  const size = Number.parseInt(archive.toString('latin1', TAR_SIZE_OFFSET, TAR_SIZE_OFFSET + 11), 8);
  const file = archive.subarray(TAR_BLOCK, TAR_BLOCK + size);
  if (size > 0 && file.length === size) return file;
  throw new SetupError('the engine answered with an archive that holds no file');
}

/**
 * @param {DockerEndpoint} endpoint
 * @param {{ method: string, path: string, body?: string }} call
 * @returns {Promise<{ status: number, body: Buffer }>}
 */
function ask(endpoint, { method, path, body }) {
  const target = 'socket' in endpoint ? { socketPath: endpoint.socket } : endpoint;
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const fail = (/** @type {Error} */ cause) => reject(new SetupError(`the engine: ${cause.message}`, { cause }));
    const call = request({ ...target, method, path, headers, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      /** @type {Buffer[]} */
      const parts = [];
      let bytes = 0;
      response.on('data', (part) => {
        parts.push(part);
        bytes += part.length;
        if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error('its answer is too large'));
      });
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)));
    call.on('error', fail);
    call.end(body);
  });
}

import { chmodSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { askEngine, dockerEndpoints } from '../machine/docker-endpoint.mjs';
import { readProgramFromImage } from '../machine/image-file.mjs';
import { SetupError } from '../machine/setup-error.mjs';
import * as busybox from './busybox.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

/** Its busybox is statically linked, unlike that of `busybox:stable`. */
const IMAGE = 'busybox:musl';

/** The one program of the examples, which are built from scratch: a busybox beside each of their Dockerfiles. */
export const name = 'examples';

/**
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  const missing = exampleFolders(context).filter((folder) => readBytes(join(folder, 'busybox')) === undefined);
  if (missing.length === 0) return { ok: true, detail: 'each has its busybox' };
  return { ok: false, detail: `no busybox in ${missing.join(', ')}; they can't be built`, fix: 'npm start' };
}

/**
 * Puts a static busybox beside each Dockerfile: the machine's own, else that of an image. Where neither can be had,
 * only the examples can't be deployed.
 *
 * @param {SetupContext} context
 * @returns {Promise<object>}
 */
export async function ensure(context) {
  const { path } = await busybox.ensure(context);
  if (path === undefined && (await check(context)).ok) return {};
  const program = path === undefined ? await fromImage(context) : readBytes(path);
  if (program === undefined) return {};
  for (const folder of exampleFolders(context)) put(program, join(folder, 'busybox'));
  return {};
}

/** @param {SetupContext} context */
async function fromImage(context) {
  for (const endpoint of dockerEndpoints(context.env) ?? []) {
    if ((await askEngine(endpoint)).state !== 'up') continue;
    try {
      return await context.progress.during(`pulling ${IMAGE}`, 'the examples are built from it', () =>
        readProgramFromImage(endpoint, IMAGE, '/bin/busybox'),
      );
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      context.progress.note(`the examples can't be deployed: ${error.message}`);
      return undefined;
    }
  }
  return undefined;
}

/** @param {SetupContext} context @returns {string[]} */
function exampleFolders({ root }) {
  const examples = join(root, 'examples');
  return readdirSync(examples, { recursive: true, encoding: 'utf8' })
    .filter((path) => basename(path) === 'Dockerfile')
    .map((path) => dirname(join(examples, path)))
    .filter((folder) => readBytes(join(folder, 'Dockerfile'))?.includes('COPY busybox '));
}

/** @param {Buffer} program @param {string} file */
function put(program, file) {
  if (readBytes(file)?.equals(program)) return;
  const aside = `${file}.${process.pid}.tmp`;
  writeFileSync(aside, program, { mode: 0o755 });
  chmodSync(aside, 0o755);
  renameSync(aside, file);
}

/** @param {string} file @returns {Buffer | undefined} */
function readBytes(file) {
  try {
    return readFileSync(file);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

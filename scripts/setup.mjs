import { randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, realpathSync, symlinkSync, unlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPONENTS, TEST_COMPONENTS } from './components/all.mjs';
import { createContext } from './machine/context.mjs';
import { SetupError } from './machine/setup-error.mjs';
import { readIfThere, writeWhole } from './machine/write-file.mjs';

/** @typedef {import('./machine/context.mjs').SetupContext} SetupContext */
/**
 * What the set-up found or installed, as `.obiente/toolchain.json` has it.
 *
 * @typedef {object} Toolchain
 * @property {string} [node]
 * @property {import('./machine/docker-endpoint.mjs').DockerEndpoint} [docker]
 * @property {{ path: string }} [temporal]
 * @property {{ path: string }} [traefik]
 * @property {{ kind: 'embedded', binDir: string } | { kind: 'external' }} [postgres]
 * @property {string} [busybox] a statically linked one
 * @property {{ path?: string }} [registry] an image registry, for tests
 * @property {{ path?: string }} [versitygw] an object storage, for tests
 * @property {import('./components/sshd.mjs').SshServerFacts} [sshd] an OpenSSH server, for tests
 */

const INSTANCE_LENGTH = 8;
const INSTANCE_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';

/**
 * Brings this machine to the point where everything can start. Quick and silent when there is nothing to do.
 *
 * @param {{ components?: string[], quiet?: boolean, forTests?: boolean, context?: SetupContext }} [options] components:
 *   names of those to ensure, all of the platform by default; forTests: those that only tests need as well
 * @returns {Promise<Toolchain>} also written to toolchain.json in the state folder; parts not asked for keep their entry
 * @throws {SetupError}
 */
export async function setup({ components, quiet = false, forTests = false, context = createContext({ quiet }) } = {}) {
  const all = [...COMPONENTS, ...TEST_COMPONENTS];
  const unknown = components?.find((wanted) => !all.some(({ name }) => name === wanted));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => name).join(', ');
    throw new SetupError(`there is no component ${unknown}`, { hint: `name some of ${known}` });
  }
  prepareState(context);
  const file = join(context.stateDir, 'toolchain.json');
  const toolchain = readToolchain(file);
  const byDefault = forTests ? all : COMPONENTS;
  for (const component of components === undefined ? byDefault : all) {
    if (components !== undefined && !components.includes(component.name)) continue;
    Object.assign(toolchain, entryOf(component.name, await component.ensure(context)));
  }
  writeWhole(file, `${JSON.stringify(toolchain, null, 2)}\n`);
  linkCommand(context);
  return toolchain;
}

/**
 * Runs the rest of a script and turns a failure of the set-up into words and exit code 1.
 *
 * @param {() => Promise<void>} work
 */
export async function reportingFailure(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`\nset-up failed: ${error.message}\n${error.hint ? `→ ${error.hint}\n` : ''}`);
    process.exitCode = 1;
  }
}

/** What can't be read is found again. @param {string} file @returns {Toolchain} */
function readToolchain(file) {
  try {
    return JSON.parse(readIfThere(file) ?? '{}');
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** @param {string} name @param {{ path?: string }} facts @returns {Toolchain} */
function entryOf(name, facts) {
  if (name === 'dependencies' || name === 'examples' || name === 'git') return {};
  if (name === 'node') return { node: /** @type {string} */ (facts.path) };
  // undefined takes the entry of an earlier busybox out of the file.
  if (name === 'busybox') return /** @type {Toolchain} */ ({ busybox: facts.path });
  return { [name]: facts };
}

/** @param {SetupContext} context */
function prepareState({ stateDir }) {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  chmodSync(stateDir, 0o700);
  const file = join(stateDir, 'instance');
  if (readIfThere(file) !== undefined) return;
  const pick = () => INSTANCE_ALPHABET[randomInt(INSTANCE_ALPHABET.length)];
  writeWhole(file, `${Array.from({ length: INSTANCE_LENGTH }, pick).join('')}\n`);
}

/** Makes `npx obiente` find this checkout's command; npm links no commands of the package itself. @param {SetupContext} context */
function linkCommand({ root }) {
  const link = join(root, 'node_modules', '.bin', 'obiente');
  const launcher = join(root, 'bin', 'obiente.js');
  try {
    if (realpathSync(link) === realpathSync(launcher)) return;
    unlinkSync(link);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error;
  }
  symlinkSync('../../bin/obiente.js', link);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const components = process.argv.slice(2);
  await reportingFailure(async () => {
    await setup(components.length === 0 ? {} : { components });
  });
}

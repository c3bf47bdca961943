import { join } from 'node:path';
import { unpackDebianPackage } from '../machine/debian.mjs';
import { checkBinary, ensureTestBinary } from '../machine/server-binary.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

const RELEASE = '2.8.3';
const ARCHES = /** @type {Record<string, string>} */ ({ x64: 'amd64', arm64: 'arm64' });

const archiveName = `registry_${RELEASE}_${process.platform}_${ARCHES[process.arch] ?? process.arch}.tar.gz`;
const downloads = `https://github.com/distribution/distribution/releases/download/v${RELEASE}`;

/** @type {import('../machine/server-binary.mjs').ServerBinary} */
const registry = {
  name: 'docker-registry',
  version: '2.8',
  versionArgs: ['--version'],
  acceptedVersion,
  release: {
    archiveUrl: `${downloads}/${archiveName}`,
    archiveName,
    checksumsUrl: `${downloads}/${archiveName}.sha256`,
    member: 'registry',
  },
  building: 'unpacking docker-registry from its Debian package',
  buildTime: 'this takes seconds, once',
  installHint: 'install Distribution 2.8 (apt-get install docker-registry) so that docker-registry is on the PATH',
  build: async ({ context, folder }) => {
    await unpackDebianPackage(context, 'docker-registry', folder);
    return join(folder, 'usr', 'bin', 'docker-registry');
  },
};

/** An image registry, for tests only. */
export const name = 'registry';

/** @param {SetupContext} context */
export const check = (context) => checkBinary(context, registry);

/** @param {SetupContext} context */
export const ensure = (context) => ensureTestBinary(context, registry, 'image registry');

/**
 * @param {string} answer of `docker-registry --version`
 * @returns {string | undefined} its version when that is 2.x from 2.7 on
 */
export function acceptedVersion(answer) {
  return /\bdistribution v?(2\.(?:[7-9]|\d\d)\.\d\S*)/.exec(answer)?.[1];
}

import { checkBinary, ensureBinary } from '../machine/server-binary.mjs';
import { buildTraefik } from '../machine/traefik-build.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

const VERSION = '3.7.13';
const ARCHES = /** @type {Record<string, string>} */ ({ x64: 'amd64', arm64: 'arm64' });

const archiveName = `traefik_v${VERSION}_${process.platform}_${ARCHES[process.arch] ?? process.arch}.tar.gz`;
const downloads = `https://github.com/traefik/traefik/releases/download/v${VERSION}`;

/** @type {import('../machine/server-binary.mjs').ServerBinary} */
const traefik = {
  name: 'traefik',
  version: VERSION,
  versionArgs: ['version'],
  acceptedVersion,
  release: {
    archiveUrl: `${downloads}/${archiveName}`,
    archiveName,
    checksumsUrl: `${downloads}/traefik_v${VERSION}_checksums.txt`,
    member: 'traefik',
  },
  buildTime: 'this takes about 5 minutes, once',
  installHint: `install Traefik ${VERSION} (https://github.com/traefik/traefik/releases) so that it is on the PATH`,
  build: ({ context, folder }) => buildTraefik({ context, folder, version: VERSION }),
};

/** The ingress. */
export const name = 'traefik';

/** @param {SetupContext} context */
export const check = (context) => checkBinary(context, traefik);

/** @param {SetupContext} context */
export const ensure = (context) => ensureBinary(context, traefik);

/**
 * @param {string} answer of `traefik version`
 * @returns {string | undefined} its version when that is 3.x
 */
export function acceptedVersion(answer) {
  return /^Version:\s+v?(3\.\d+\.\d+\S*)/m.exec(answer)?.[1];
}

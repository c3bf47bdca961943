import { join } from 'node:path';
import { runGo } from '../machine/go-toolchain.mjs';
import { checkBinary, ensureTestBinary } from '../machine/server-binary.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

const VERSION = '1.8.0';
const MODULE = 'github.com/versity/versitygw';
const ARCHES = /** @type {Record<string, string>} */ ({ x64: 'x86_64', arm64: 'arm64' });

const archiveName = `versitygw_v${VERSION}_Linux_${ARCHES[process.arch] ?? process.arch}.tar.gz`;
const downloads = `https://github.com/versity/versitygw/releases/download/v${VERSION}`;

/** @type {import('../machine/server-binary.mjs').ServerBinary} */
const versitygw = {
  name: 'versitygw',
  version: VERSION,
  versionArgs: ['--version'],
  acceptedVersion,
  release: {
    archiveUrl: `${downloads}/${archiveName}`,
    archiveName,
    checksumsUrl: `${downloads}/checksums.txt`,
    member: 'versitygw',
  },
  buildTime: 'this takes about 2 minutes, once',
  installHint: 'install Versity S3 Gateway 1.8 (https://github.com/versity/versitygw) so that it is on the PATH',
  build: async ({ context, folder }) => {
    const flags = `-s -w -X main.Version=v${VERSION}`;
    await runGo(context, ['install', '-trimpath', '-ldflags', flags, `${MODULE}/cmd/versitygw@v${VERSION}`], {
      env: { GOBIN: folder },
    });
    return join(folder, 'versitygw');
  },
};

/** An S3-compatible object storage over a folder, for tests only. */
export const name = 'versitygw';

/** @param {SetupContext} context */
export const check = (context) => checkBinary(context, versitygw);

/** @param {SetupContext} context */
export const ensure = (context) => ensureTestBinary(context, versitygw, 'object storage');

/**
 * @param {string} answer of `versitygw --version`
 * @returns {string | undefined} its version when that is 1.x
 */
export function acceptedVersion(answer) {
  return /\bv?(1\.\d+\.\d+\S*)/.exec(answer)?.[1];
}

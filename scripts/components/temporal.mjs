import { join } from 'node:path';
import { runGo } from '../machine/go-toolchain.mjs';
import { checkBinary, ensureBinary } from '../machine/server-binary.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

/** The newest that `go install` accepts: later tags carry replace directives. Its server is 1.29.1. */
const VERSION = '1.5.1';
const MODULE = 'github.com/temporalio/cli';
const ARCHES = /** @type {Record<string, string>} */ ({ x64: 'amd64', arm64: 'arm64' });

const archiveName = `temporal_cli_${VERSION}_${process.platform}_${ARCHES[process.arch] ?? process.arch}.tar.gz`;
const downloads = `https://github.com/temporalio/cli/releases/download/v${VERSION}`;

/** @type {import('../machine/server-binary.mjs').ServerBinary} */
const temporal = {
  name: 'temporal',
  version: VERSION,
  versionArgs: ['--version'],
  acceptedVersion,
  release: {
    archiveUrl: `https://temporal.download/cli/archive/v${VERSION}?platform=${process.platform}&arch=${ARCHES[process.arch] ?? process.arch}`,
    archiveName,
    checksumsUrl: `${downloads}/checksums.txt`,
    member: 'temporal',
  },
  buildTime: 'this takes about 4 minutes, once',
  installHint: 'install the Temporal CLI (https://docs.temporal.io/cli) so that it is on the PATH',
  build: async ({ context, folder }) => {
    const flags = `-s -w -X ${MODULE}/temporalcli.Version=${VERSION}`;
    await runGo(context, ['install', '-trimpath', '-ldflags', flags, `${MODULE}/cmd/temporal@v${VERSION}`], {
      env: { GOBIN: folder },
    });
    return join(folder, 'temporal');
  },
};

/** The Temporal server with its web UI, all in the Temporal CLI. */
export const name = 'temporal';

/** @param {SetupContext} context */
export const check = (context) => checkBinary(context, temporal);

/** @param {SetupContext} context */
export const ensure = (context) => ensureBinary(context, temporal);

/**
 * @param {string} answer of `temporal --version`
 * @returns {string | undefined} the CLI's version from 1.1 on; a CLI built by hand calls itself 0.0.0-DEV and counts
 */
export function acceptedVersion(answer) {
  const [version, major, minor] = /temporal version (\d+)\.(\d+)\.\d+\S*/.exec(answer) ?? [];
  if (version === undefined) return undefined;
  const number = version.replace('temporal version ', '');
  const isNewEnough = Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 1);
  return isNewEnough || number === '0.0.0-DEV' ? number : undefined;
}

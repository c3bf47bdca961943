import { chmodSync, cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runGo } from './go-toolchain.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

/** SDKs of DNS providers that module proxies don't serve. All of them are for the DNS-01 challenge only. */
const UNAVAILABLE_MODULES = [
  'akamai/',
  'aziontech/',
  'dnsimple/',
  'go-acme/alidns',
  'go-acme/esa',
  'go-acme/tencent',
  'huaweicloud/',
  'nrdcg/oci-go-sdk/',
  'regfish/',
  'sacloud/',
  'tencentcloud/',
  'ucloud/',
  'yandex-cloud/',
];

const BASIC_AUTH_FORK = 'github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e';

const DNS_PROVIDERS = `// Package dns knows no provider in this build.
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName always fails: this build leaves the DNS-01 challenge out.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("DNS provider %q is not part of this build", name)
}
`;

const EXTENSIONS = `// Package ext holds the extensions of the dynamic configuration: none.
package ext

// HTTP extends the HTTP configuration.
type HTTP struct{}

// Router extends a router.
type Router struct{}
`;

/**
 * Builds Traefik from Go modules alone, for machines that reach a module proxy but not the publisher.
 *
 * Traefik is no installable module: it replaces modules by folders and forks. So its source is copied out of the
 * module cache, the folder that the published module lacks is written, and the ACME library loses its DNS providers,
 * whose SDKs can't be had. HTTP-01 and TLS-ALPN-01 work in such a build; DNS-01 and the dashboard do not.
 *
 * @param {{ context: SetupContext, folder: string, version: string }} work folder: empty, on the cache's file system
 * @returns {Promise<string>} the binary's path
 */
export async function buildTraefik({ context, folder, version }) {
  const source = join(folder, 'traefik');
  await copyModule(context, `github.com/traefik/traefik/v3@v${version}`, source);
  const goMod = readFileSync(join(source, 'go.mod'), 'utf8');
  const lego = /github\.com\/go-acme\/lego\/v5 (v\S+)/.exec(goMod)?.[1];
  const legoFolder = join(folder, 'lego');
  await copyModule(context, `github.com/go-acme/lego/v5@${lego}`, legoFolder);
  removeDnsProviders(legoFolder);
  writeExtensions(source);
  writeFileSync(join(source, 'go.mod'), traefikGoMod(goMod));
  const output = join(folder, 'traefik-binary');
  const flags = `-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=${version}`;
  await runGo(context, ['build', '-trimpath', '-ldflags', flags, '-o', output, './cmd/traefik'], { cwd: source });
  return output;
}

/**
 * @param {string} goMod Traefik's own
 * @returns {string} with the replacements that a build outside of its repository needs
 */
export function traefikGoMod(goMod) {
  const replaced = goMod.replace(/(github\.com\/abbot\/go-http-auth => ).*/, `$1${BASIC_AUTH_FORK}`);
  return `${withoutUnavailable(replaced)}\nreplace github.com/go-acme/lego/v5 => ../lego\n`;
}

/** @param {string} goMod @returns {string} without the requirements that can't be had */
function withoutUnavailable(goMod) {
  const isUnavailable = (/** @type {string} */ line) =>
    UNAVAILABLE_MODULES.some((prefix) => line.trim().startsWith(`github.com/${prefix}`));
  return goMod
    .split('\n')
    .filter((line) => !isUnavailable(line))
    .join('\n');
}

/** @param {string} lego */
function removeDnsProviders(lego) {
  const providers = join(lego, 'providers', 'dns');
  rmSync(providers, { recursive: true });
  mkdirSync(providers);
  writeFileSync(join(providers, 'providers.go'), DNS_PROVIDERS);
  const goMod = join(lego, 'go.mod');
  writeFileSync(goMod, withoutUnavailable(readFileSync(goMod, 'utf8')));
}

/** @param {string} source */
function writeExtensions(source) {
  const folder = join(source, 'pkg', 'config', 'dynamic', 'ext');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'go.mod'), 'module github.com/traefik/traefik/dynamic/ext\n\ngo 1.22\n');
  writeFileSync(join(folder, 'ext.go'), EXTENSIONS);
}

/** @param {SetupContext} context @param {string} module @param {string} target */
async function copyModule(context, module, target) {
  const answer = await runGo(context, ['mod', 'download', '-json', module]);
  const { Dir: folder } = JSON.parse(answer.slice(answer.indexOf('{')));
  cpSync(folder, target, { recursive: true });
  makeWritable(target);
}

/** The module cache is read-only, and copies keep the mode. @param {string} path */
function makeWritable(path) {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  chmodSync(path, stats.mode | 0o200);
  if (stats.isDirectory()) for (const entry of readdirSync(path)) makeWritable(join(path, entry));
}

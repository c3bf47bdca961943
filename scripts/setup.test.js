import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isStatic } from './components/busybox.mjs';
import { differingPackage } from './components/dependencies.mjs';
import { isSupported } from './components/docker.mjs';
import { acceptedVersion as acceptedGit } from './components/git.mjs';
import { initdbCommand, serverCommand } from './components/postgres.mjs';
import { acceptedVersion as acceptedRegistry } from './components/registry.mjs';
import { acceptedVersion as acceptedTemporal } from './components/temporal.mjs';
import { acceptedVersion as acceptedTraefik } from './components/traefik.mjs';
import { acceptedVersion as acceptedGateway } from './components/versitygw.mjs';
import { traversalCapability } from './machine/database-user.mjs';
import { isDebian } from './machine/debian.mjs';
import { chooseAddressPool } from './machine/docker-daemon.mjs';
import { askEngine, dockerEndpoints, parseDockerHost } from './machine/docker-endpoint.mjs';
import { withLock } from './machine/lock.mjs';
import { checksumOf, downloadRelease } from './machine/release-download.mjs';
import { traefikGoMod } from './machine/traefik-build.mjs';

/** @type {string} */
let folder;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'obiente-setup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('dependencies', () => {
  const wanted = {
    '': {},
    'node_modules/a': { version: '1.0.0', integrity: 'x' },
    'node_modules/b': { version: '1.0.0', integrity: 'y', optional: true },
  };

  it('are complete without the optional ones of other platforms', () => {
    expect(differingPackage(wanted, { 'node_modules/a': { version: '1.0.0', integrity: 'x' } })).toBeUndefined();
  });

  it.each([
    ['missing', {}],
    ['of another version', { 'node_modules/a': { version: '1.0.1', integrity: 'x' } }],
    ['of another content', { 'node_modules/a': { version: '1.0.0', integrity: 'z' } }],
  ])('are installed again when one is %s', (_case, installed) => {
    expect(differingPackage(wanted, installed)).toBe('node_modules/a');
  });

  it('are installed again when one is superfluous', () => {
    const installed = { 'node_modules/a': { version: '1.0.0', integrity: 'x' }, 'node_modules/c': {} };
    expect(differingPackage(wanted, installed)).toBe('node_modules/c');
  });
});

describe('versions', () => {
  it.each([
    ['temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)', '1.5.1'],
    ['temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)', '0.0.0-DEV'],
    ['temporal version 1.0.0 (Server 1.24.2, UI 2.28.0)', undefined],
    ['something else', undefined],
  ])('of the Temporal CLI: %s', (answer, version) => expect(acceptedTemporal(answer)).toBe(version));

  it.each([
    ['Version:      3.7.13\nCodename:     cheddar\n', '3.7.13'],
    ['Version:      2.11.0\nCodename:     mimolette\n', undefined],
    ['Version:      dev\n', undefined],
  ])('of Traefik: %s', (answer, version) => expect(acceptedTraefik(answer)).toBe(version));

  it.each([
    ['docker-registry github.com/docker/distribution 2.8.2+ds1', '2.8.2+ds1'],
    ['registry github.com/docker/distribution v2.8.3', '2.8.3'],
    ['registry github.com/distribution/distribution/v3 v3.0.0', undefined],
    ['docker-registry github.com/docker/distribution 2.6.2', undefined],
  ])('of the image registry: %s', (answer, version) => expect(acceptedRegistry(answer)).toBe(version));

  it.each([
    ['Version  : v1.8.0', '1.8.0'],
    ['versitygw version 1.0.20', '1.0.20'],
    ['Version  : v2.0.0', undefined],
    ['Version  : git', undefined],
  ])('of the object storage: %s', (answer, version) => expect(acceptedGateway(answer)).toBe(version));

  it.each([
    ['git version 2.39.5', '2.39.5'],
    ['git version 2.37.0 (Apple Git-136)', '2.37.0'],
    ['git version 3.0.1', '3.0.1'],
    ['git version 2.34.1', undefined],
    ['something else', undefined],
  ])('of git: %s', (answer, version) => expect(acceptedGit(answer)).toBe(version));

  it.each([
    ['1.40', false],
    ['1.41', true],
    ['1.51', true],
    ['2.0', true],
  ])('of the engine: API %s', (api, supported) => expect(isSupported(api)).toBe(supported));
});

describe('the Docker Engine', () => {
  it('gets an address pool that the machine is not in', () => {
    expect(chooseAddressPool(['192.168.1.2', '10.201.4.1', '10.202.0.1'])).toBe('10.203.0.0/16');
  });

  it('is looked for where DOCKER_HOST says, and only there', () => {
    expect(dockerEndpoints({ DOCKER_HOST: 'unix:///run/other.sock' })).toEqual([{ socket: '/run/other.sock' }]);
    expect(parseDockerHost('tcp://[fd00::1]:2375')).toEqual({ host: 'fd00::1', port: 2375 });
    expect(dockerEndpoints({ DOCKER_HOST: 'ssh://me@there' })).toBeUndefined();
  });

  it('is absent when nobody listens on its socket', async () => {
    expect(await askEngine({ socket: join(folder, 'docker.sock') })).toMatchObject({ state: 'absent' });
  });

  it.each([
    ['ID=debian\n', true],
    ['NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', true],
    ['ID=fedora\n', false],
  ])('is installed on Debian and its descendants only: %j', (text, expected) => expect(isDebian(text)).toBe(expected));
});

describe('PostgreSQL', () => {
  it('keeps the ability to pass closed folders, and the least of those there are', () => {
    expect(traversalCapability('CapBnd:\t000001fffeffffff\n')).toBe('dac_read_search');
    expect(traversalCapability('CapBnd:\t00000000a80425fb\n')).toBe('dac_override');
    expect(traversalCapability('CapBnd:\t0000000000000000\n')).toBeUndefined();
  });

  it('listens on the loopback address only, and has no password on its command lines', () => {
    const server = serverCommand({ binDir: '/b', dataDir: '/d', port: 7432 });
    expect(server.args).toEqual(expect.arrayContaining(['listen_addresses=127.0.0.1', 'unix_socket_directories=']));
    expect(initdbCommand({ binDir: '/b', dataDir: '/d', passwordFile: '/p' }).args).toContain('/p');
    expect(Object.keys(server.env).sort()).toEqual(['LC_ALL', 'PATH', 'TZ']);
  });
});

describe('a release', () => {
  /** @param {(url: string) => Buffer | undefined} answer @param {(base: string) => Promise<void>} use */
  async function serving(answer, use) {
    const server = createServer((request, response) => {
      const body = answer(request.url ?? '');
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    try {
      await use(`http://127.0.0.1:${address.port}`);
    } finally {
      server.close();
    }
  }

  function anArchive() {
    writeFileSync(join(folder, 'tool'), 'a program');
    return spawnSync('tar', ['-czf', '-', '-C', folder, 'tool']).stdout;
  }

  const release = (/** @type {string} */ base) => ({
    archiveUrl: `${base}/tool.tar.gz`,
    archiveName: 'tool.tar.gz',
    checksumsUrl: `${base}/checksums.txt`,
    member: 'tool',
  });

  it('is unpacked when its checksum is the published one', async () => {
    const archive = anArchive();
    const sum = createHash('sha256').update(archive).digest('hex');
    const target = mkdtempSync(join(folder, 'target-'));
    await serving(
      (url) => (url === '/checksums.txt' ? Buffer.from(`${sum}  tool.tar.gz\n`) : archive),
      async (base) => {
        expect(existsSync(await downloadRelease(release(base), target))).toBe(true);
      },
    );
  });

  it('is refused, and not unpacked, when its checksum is another one', async () => {
    const archive = anArchive();
    const target = mkdtempSync(join(folder, 'target-'));
    await serving(
      (url) => (url === '/checksums.txt' ? Buffer.from(`${'0'.repeat(64)}  tool.tar.gz\n`) : archive),
      async (base) => {
        await expect(downloadRelease(release(base), target)).rejects.toThrow(/its publisher says 0000/);
      },
    );
    expect(existsSync(join(target, 'tool'))).toBe(false);
  });

  it('is refused when its publisher vouches for other files only', async () => {
    await serving(
      () => Buffer.from(`${'0'.repeat(64)}  other.tar.gz\n`),
      async (base) => {
        await expect(downloadRelease(release(base), folder)).rejects.toThrow(/does not list tool.tar.gz/);
      },
    );
  });

  it('has its checksum found in each way that lists are written', () => {
    const hash = 'ab'.repeat(32);
    expect(checksumOf(`${hash}  ./a.tgz\n`, 'a.tgz')).toBe(hash);
    expect(checksumOf(`${hash.toUpperCase()} *a.tgz\n`, 'a.tgz')).toBe(hash);
    expect(checksumOf('short  a.tgz\n', 'a.tgz')).toBeUndefined();
  });
});

describe('a lock', () => {
  it('lets one at a time do the work, and leaves nothing', async () => {
    const path = join(folder, 'locks', 'x.lock');
    let inside = 0;
    let most = 0;
    const work = () =>
      withLock(path, {}, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      });
    await Promise.all([work(), work(), work()]);
    expect(most).toBe(1);
    expect(readdirSync(join(folder, 'locks'))).toEqual([]);
  });

  it('is taken over from a process that died', async () => {
    const path = join(folder, 'x.lock');
    const { pid } = spawnSync('true');
    writeFileSync(path, String(pid));
    expect(await withLock(path, {}, async () => 'done')).toBe('done');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('programs', () => {
  it('that ask for a dynamic linker are not static', () => {
    writeFileSync(join(folder, 'script'), '#!/bin/sh\n');
    expect(isStatic(join(folder, 'script'))).toBe(false);
    if (process.platform === 'linux') expect(isStatic(process.execPath)).toBe(false);
  });
});

describe("Traefik's module file", () => {
  const goMod = [
    'module github.com/traefik/traefik/v3',
    'require (',
    '\tgithub.com/go-acme/lego/v5 v5.4.1',
    '\tgithub.com/yandex-cloud/go-genproto v0.117.0 // indirect',
    ')',
    'replace (',
    '\tgithub.com/abbot/go-http-auth => github.com/containous/go-http-auth v0.4.1-0.20260804094822-b975dcaa8c48',
    ')',
  ].join('\n');

  it('loses what module proxies refuse and keeps the rest', () => {
    const edited = traefikGoMod(goMod);
    expect(edited).not.toContain('yandex');
    expect(edited).toContain('github.com/go-acme/lego/v5 v5.4.1');
    expect(edited).toContain('=> github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e');
    expect(edited).toContain('replace github.com/go-acme/lego/v5 => ../lego');
  });
});

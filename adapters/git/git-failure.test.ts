import { describe, expect, it } from 'vitest';
import { ProcessFailed } from '../processes/run-process.ts';
import { createByteReader } from './byte-reader.ts';
import { gitEnvironment } from './environment.ts';
import { receivedBytes } from './fetch-objects.ts';
import { plainLine, toSourceError } from './git-failure.ts';

const SECRETS = ['canary-5d1f0c'];

function failed(lines: string[], signal: NodeJS.Signals | null = null) {
  return toSourceError(
    'cannot fetch x',
    new ProcessFailed('git', { code: signal ? null : 128, signal, lines }),
    SECRETS,
  );
}

describe('what git says when it fails', () => {
  it.each([
    [
      "fatal: could not read Username for 'https://git.example.com': terminal prompts disabled",
      'refused the credential',
    ],
    ["fatal: Authentication failed for 'https://git.example.com/a/b/'", 'refused the credential'],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 403", 'refused the credential'],
    ['git@git.example.com: Permission denied (publickey).', 'refused the credential'],
    ['Host key verification failed.', 'another host key'],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 302", 'redirects'],
    ['fatal: unable to access: server certificate verification failed. CAfile: none CRLfile: none', 'not trusted'],
    ['fatal: unable to access: SSL certificate problem: unable to get local issuer certificate', 'not trusted'],
    ['fatal: remote error: upload-pack: not our ref 1111111111111111111111111111111111111111', 'no such commit'],
    ['fatal: remote error: want 1111111111111111111111111111111111111111 not valid', 'no such commit'],
    ["fatal: repository 'https://git.example.com/a/b/' not found", 'no such repository'],
    ['ERROR: Repository not found.', 'no such repository'],
    ["fatal: '/x.git' does not appear to be a git repository", 'no such repository'],
    ['fatal: dumb http transport does not support shallow capabilities', 'smart HTTP'],
    ['fatal: Out of memory, malloc failed (tried to allocate 30000001 bytes)', 'more memory'],
    ['error: object 1111111111111111111111111111111111111111: hasDotgit: contains .git', 'broken or unsafe'],
    ['fatal: fsck error in packed object', 'broken or unsafe'],
    ['fatal: mismatched algorithms: client sha1; server sha256', 'broken or unsafe'],
  ])('%s is final', (line, words) => {
    expect(failed(['Cloning…', line])).toMatchObject({
      code: 'SOURCE_REFUSED',
      message: expect.stringContaining(words),
    });
  });

  it.each([
    "fatal: unable to access 'https://x/': Failed to connect to x port 443 after 0 ms: Couldn't connect to server",
    "fatal: unable to access 'https://x/': Could not resolve host: x",
    "fatal: unable to access 'https://x/': The requested URL returned error: 503",
    "fatal: unable to access 'https://x/': The requested URL returned error: 429",
    "fatal: unable to access 'https://x/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
    'error: RPC failed; curl 56 GnuTLS recv error (-110): The TLS connection was non-properly terminated.',
    'fatal: early EOF',
    'fatal: fetch-pack: invalid index-pack output',
    'ssh: connect to host x port 22: Connection refused',
    'kex_exchange_identification: Connection closed by remote host',
    'something that nobody has seen yet',
  ])('%s may pass', (line) => {
    expect(failed([line])).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });

  it('is a crash that would come again only when git itself crashed', () => {
    expect(failed([], 'SIGSEGV')).toMatchObject({ code: 'SOURCE_REFUSED' });
    expect(failed([], 'SIGKILL')).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });

  it('is shown as one harmless line without secrets', () => {
    const error = failed([`fatal: no \x1b[31m entry\u202e for canary-5d1f0c ${'x'.repeat(1000)}`]) as Error;
    expect(error.message).toContain('git says: fatal: no [31m entry for *** xxx');
    expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(error.message.length).toBeLessThan(500);
    expect(plainLine('  a\tb  ', [])).toBe('a b');
  });

  it('leaves errors of anybody else as they are', () => {
    const other = new Error('disk full');
    expect(toSourceError('x', other, [])).toBe(other);
  });
});

describe("git's progress", () => {
  it.each([
    ['Receiving objects:  83% (5/6), 12.50 MiB | 24.82 MiB/s', 12.5 * 1024 ** 2],
    ['Receiving objects: 100% (6/6), 1.00 GiB | 1.00 MiB/s, done.', 1024 ** 3],
    ['Receiving objects:   1% (1/60), 512 bytes | 1.00 KiB/s', 512],
    ['Receiving objects:  16% (1/6)', 0],
    ['remote: Receiving objects: 1% (1/6), 99.00 GiB | 1 MiB/s', 0],
    ['Resolving deltas: 100% (3/3), done.', 0],
  ])('%s', (line, bytes) => expect(receivedBytes(line)).toBe(bytes));
});

describe("git's environment", () => {
  it('has nothing of this process but where programs are, and no protocol unless one is given', () => {
    const programs = { git: '/usr/bin/git', ssh: undefined, prlimit: undefined, searchPath: '/usr/bin:/bin' };
    const environment = gitEnvironment({ programs, work: '/fetched/x' });
    expect(environment.PATH).toMatch(/:\/usr\/bin:\/bin$/);
    expect(environment).toMatchObject({
      HOME: '/fetched/x',
      GIT_ALLOW_PROTOCOL: 'none',
      GIT_CONFIG_GLOBAL: '/dev/null',
    });
    const foreign = Object.keys(process.env).filter((name) => !['PATH', 'HOME', 'LC_ALL', 'TMPDIR'].includes(name));
    expect(foreign.filter((name) => name in environment && environment[name] === process.env[name])).toEqual([]);
    const count = Number(environment.GIT_CONFIG_COUNT);
    const settings = new Map(
      Array.from({ length: count }, (_, i) => [
        environment[`GIT_CONFIG_KEY_${i}`],
        environment[`GIT_CONFIG_VALUE_${i}`],
      ]),
    );
    expect(Object.fromEntries(settings)).toMatchObject({
      'core.hooksPath': '/dev/null',
      'core.fsmonitor': 'false',
      'credential.helper': '',
      'http.followRedirects': 'false',
      'transfer.fsckObjects': 'true',
    });
  });
});

describe('a reader of bytes', () => {
  async function* chunks(...parts: string[]): AsyncGenerator<Buffer> {
    for (const part of parts) yield Buffer.from(part);
  }

  async function collect(bytes: AsyncIterable<Buffer>): Promise<string> {
    const found: Buffer[] = [];
    for await (const chunk of bytes) found.push(chunk);
    return Buffer.concat(found).toString();
  }

  it('reads lines and counted bytes wherever the chunks break', async () => {
    const text = 'head 5\nab\ncd\nempty 0\n\nlast\n';
    for (let at = 0; at < text.length; at += 1) {
      const reader = createByteReader(chunks(text.slice(0, at), text.slice(at)));
      expect(await reader.line()).toBe('head 5');
      expect(await collect(reader.bytes(5))).toBe('ab\ncd');
      expect(await reader.line()).toBe('');
      expect(await reader.line()).toBe('empty 0');
      expect(await collect(reader.bytes(0))).toBe('');
      expect([await reader.line(), await reader.line()]).toEqual(['', 'last']);
      await expect(reader.line()).rejects.toThrow('ended too early');
    }
  });

  it('takes no line without end, and no content that is cut short', async () => {
    await expect(createByteReader(chunks('x'.repeat(2000))).line()).rejects.toThrow('more than 1024 bytes');
    await expect(collect(createByteReader(chunks('abc')).bytes(4))).rejects.toThrow('ended too early');
  });
});

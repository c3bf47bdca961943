import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isSameServer,
  namesRepository,
  parseCommit,
  parseGitRef,
  parseGitUrl,
  parseSubdirectory,
} from './git-source.ts';

const NONE = { allowedHosts: [] };

function parse(url: string, allowedHosts: string[] = []) {
  return parseGitUrl('source.url', url, { allowedHosts });
}

const refused = (field: string) => expect.objectContaining({ code: 'INVALID_ARGUMENT', field });

describe('the address of a repository', () => {
  it.each([
    ['https://github.com/acme/api.git', 'https://github.com/acme/api.git'],
    ['https://GitHub.com/acme/api/', 'https://github.com/acme/api'],
    ['https://git.example.com:443/a', 'https://git.example.com/a'],
    [
      'https://git.example.com:8443/group/sub-group/a_b.c~d+e',
      'https://git.example.com:8443/group/sub-group/a_b.c~d+e',
    ],
    ['https://dev.azure.com/acme/My%20Project/_git/api', 'https://dev.azure.com/acme/My%20Project/_git/api'],
    ['https://8.8.8.8/a', 'https://8.8.8.8/a'],
    ['ssh://git@github.com/acme/api.git', 'ssh://git@github.com/acme/api.git'],
    ['ssh://github.com/acme/api.git', 'ssh://git@github.com/acme/api.git'],
    ['ssh://me@git.example.com:2222/~/api', 'ssh://me@git.example.com:2222/~/api'],
    ['ssh://git@git.example.com:22/a', 'ssh://git@git.example.com/a'],
    ['git@github.com:acme/api.git', 'git@github.com:acme/api.git'],
    ['git@github.com:/srv/api.git', 'ssh://git@github.com/srv/api.git'],
  ])('%s is %s', (url, text) => {
    expect(parse(url)).toMatchObject({ text });
    expect(parse(text).text).toBe(text);
  });

  it('tells the parts that a connection needs', () => {
    expect(parse('ssh://me@Git.example.com:2222/a/b')).toEqual({
      ...{ protocol: 'ssh', user: 'me', host: 'git.example.com', port: 2222, path: '/a/b' },
      text: 'ssh://me@git.example.com:2222/a/b',
    });
    expect(parse('git@git.example.com:a/b')).toMatchObject({ protocol: 'ssh', port: 22, path: 'a/b' });
  });

  it.each([
    ...['', ' ', 'x', '/srv/api.git', './api', '../api', 'C:\\api', 'github.com/acme/api', 'github.com:acme/api'],
    ...['ext::sh -c id', 'ext::sh%20-c%20id', 'fd::7', 'file:///etc', 'file://localhost/etc', 'http://github.com/a/b'],
    ...['git://github.com/a/b', 'ftp://github.com/a/b', 'gopher://github.com/a', 'dict://github.com/a', 'data:a,b'],
    ...['ldap://github.com/a', 'unix:///var/run/docker.sock', 'jar:https://github.com/a', 'HTTPS://github.com/a/b'],
    ...['git+ssh://git@github.com/a', 'ssh+git://git@github.com/a', 'transport::https://github.com/a/b'],
    ...['--upload-pack=id', '-u', '--upload-pack=id@github.com:a', '-oProxyCommand=id@github.com:a'],
    ...['ssh://-oProxyCommand=id/x', 'ssh://git@-oProxyCommand=id/x', 'ssh://-l@github.com/x', 'git@-host:a'],
    ...['git@github.com:-a', 'git@github.com:a/-b', 'git@github.com:', 'git@github.com:a//b', 'git@github.com:../a'],
    ...[
      'https://github.com',
      'https://github.com/',
      'https:///a',
      'https://github.com//a',
      'https://github.com/a/../b',
    ],
    ...['https://github.com/a/./b', 'https://github.com/a?x=1', 'https://github.com/a#x', 'https://github.com?a/b'],
    ...[
      'https://github.com/a b',
      'https://github.com/a\nb',
      'https://github.com/a\r\nHost: x',
      'https://github.com/a\0',
    ],
    ...['https://github.com/a\n', '\nhttps://github.com/a', ' https://github.com/a', 'https://github.com/a%0ab'],
    ...[
      'https://github.com/%2e%2e/a',
      'https://github.com/a%00',
      'https://github.com/$(id)',
      'https://github.com/`id`',
    ],
    ...['https://github.com/a;id', 'https://github.com/a|id', 'https://github.com/a&id', "https://github.com/a'b"],
    ...['https://github.com:0/a', 'https://github.com:65536/a', 'https://github.com:x/a', 'https://github.com:/a'],
    ...[
      'https://github.com:443:443/a',
      'https://github.com\\@127.0.0.1/a',
      'https://github.com/ä',
      `https://a.b/${'x'.repeat(1024)}`,
    ],
  ])('is refused when it is none of the known forms: %j', (url) => {
    expect(() => parse(url)).toThrow(refused('source.url'));
  });

  it.each([
    ...[
      'https://127.0.0.1/a',
      'https://localhost/a',
      'https://LOCALHOST/a',
      'https://localhost./a',
      'https://a.localhost/a',
    ],
    ...['https://127.1/a', 'https://0/a', 'https://0.0.0.0/a', 'https://2130706433/a', 'https://0177.0.0.1/a'],
    ...['https://017700000001/a', 'https://0x7f.1/a', 'https://[::1]/a', 'https://[::ffff:127.0.0.1]/a'],
    ...[
      'https://[::ffff:7f00:1]/a',
      'https://[64:ff9b::7f00:1]/a',
      'https://[fe80::1%25eth0]/a',
      'https://[fd00::1]/a',
    ],
    ...['https://10.0.0.1/a', 'https://172.16.0.1/a', 'https://192.168.0.1/a', 'https://100.64.0.1/a'],
    ...['https://192.0.0.1/a', 'https://198.18.0.1/a', 'https://224.0.0.1/a', 'https://240.0.0.1/a'],
    ...['https://255.255.255.255/a', 'https://169.254.169.254/x.git', 'https://metadata.google.internal/a'],
    ...['https://gitlab/a', 'https://git.lan/a', 'https://git.local/a', 'https://ⓛocalhost/a', 'https://①②⑦.⓪.⓪.①/a'],
    ...['ssh://git@127.0.0.1/a', 'ssh://localhost:2222/a', 'git@10.0.0.1:a', 'git@localhost:a', 'git@gitlab:a/b'],
  ])("is refused when its host is on the platform's own network: %s", (url) => {
    expect(() => parse(url)).toThrow(refused('source.url'));
  });

  it('may name a local host that the operator allows, at that port only', () => {
    expect(parse('https://127.0.0.1:8443/a', ['127.0.0.1:8443']).port).toBe(8443);
    expect(parse('git@gitlab:a/b', ['gitlab']).host).toBe('gitlab');
    expect(parse('https://GitLab/a/b', ['gitlab']).text).toBe('https://gitlab/a/b');
    expect(() => parse('https://127.0.0.1:8444/a', ['127.0.0.1:8443'])).toThrow(refused('source.url'));
    expect(() => parse('ssh://git@gitlab:2222/a', ['gitlab'])).toThrow(refused('source.url'));
  });

  it.each([
    ...['https://me:hunter2@github.com/a', 'https://hunter2@github.com/a', 'https://me:hunter2@127.0.0.1/a'],
    ...['https://me:x/hunter2@github.com/a', 'https://me:hunter2@evil@github.com/a', 'ssh://me:hunter2@github.com/a'],
    ...['me:hunter2@github.com:a', 'http://me:hunter2@github.com/a', 'https://me:hunter2@github.com/a b'],
    ...['https://github.com/hunter2@x/a', 'ftp://me:hunter2@x'],
  ])('with a password is refused without showing it: %s', (url) => {
    const attempt = () => parse(url);
    expect(attempt).toThrow(refused('source.url'));
    expect(attempt).not.toThrow(/hunter2/);
  });

  it('is either refused or spelled without anything that git could take for an option or a command', () => {
    const part = fc.oneof(
      fc.constantFrom('https://', 'ssh://', 'git@', 'github.com', ':', '/', '@', '-', '..', 'a'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        let text: string;
        try {
          text = parseGitUrl('url', parts.join(''), NONE).text;
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
          return;
        }
        expect(text).toMatch(/^(https:\/\/|ssh:\/\/\w[\w.-]*@|\w[\w.-]*@)[a-z0-9][a-z0-9.:-]*[:/][\w.~+%/-]+$/);
        expect(text).not.toMatch(/(^|[/:@])-|\.\.\/|\/\.\.|%(?!20)/);
      }),
    );
  });

  it('is of the same server when protocol, host and port are the same', () => {
    const here = parse('https://git.example.com/a');
    expect(isSameServer(here, parse('https://GIT.example.com:443/b'))).toBe(true);
    for (const other of [
      'https://git.example.com:8443/a',
      'ssh://git@git.example.com/a',
      'https://git2.example.com/a',
    ]) {
      expect(isSameServer(here, parse(other))).toBe(false);
    }
  });

  it('is recognised in what a webhook names, by either protocol', () => {
    const here = parse('https://git.example.com/acme/api.git');
    for (const text of [
      ...[
        'https://git.example.com/acme/api',
        'https://GIT.example.com/acme/api.git',
        'git@git.example.com:acme/api.git',
      ],
      ...['ssh://git@git.example.com:2222/acme/api.git'],
    ]) {
      expect(namesRepository(text, here)).toBe(true);
    }
    for (const text of [
      'https://git.example.com/acme/api2',
      'https://git.example.com/Acme/api',
      'https://evil.example/acme/api',
      '',
    ]) {
      expect(namesRepository(text, here)).toBe(false);
    }
  });
});

describe('a ref', () => {
  it.each([
    ...['main', 'HEAD', 'v1.2.3', 'feature/login', 'refs/heads/main', 'refs/pull/12/head', 'fix/#12', 'a-b_c+d=e,f'],
    ...['dependabot/npm/@types/node-20', 'größe', '日本語', '0a'.repeat(20)],
  ])('is taken as it is: %s', (ref) => expect(parseGitRef('source.ref', ref)).toBe(ref));

  it.each([
    ...['', '-x', '--output=/x', 'a..b', 'a b', '@{-1}', '@', '@{u}', 'a@{1}', 'refs/../x', 'x'.repeat(5000), '$(id)'],
    ...['a~1', 'a^', 'a^{tree}', 'a:b', 'a?', 'a*', 'a[b]', 'a\\b', 'a\nb', 'a\0b', 'a\tb', '/a', 'a/', 'a//b', '.a'],
    ...[
      'a/.b',
      'a.',
      'a.lock',
      'a/b.lock/c',
      '..',
      '.',
      "a'b",
      'a"b',
      'a`id`',
      'a;id',
      'a|id',
      'a&b',
      'a<b',
      'a\ud800',
    ],
    ...['a\u200bb', 'a\u202eb'],
  ])('is refused when it is none: %j', (ref) => {
    expect(() => parseGitRef('source.ref', ref)).toThrow(refused('source.ref'));
  });
});

describe('a commit', () => {
  it.each(['0a'.repeat(20), '0a'.repeat(32)])('is a whole id: %s', (id) => expect(parseCommit('commit', id)).toBe(id));

  it.each([
    ...['', 'HEAD', 'HEAD;id', 'abc1234', '0'.repeat(40), '0'.repeat(64), 'a'.repeat(39), 'a'.repeat(41)],
    ...['A'.repeat(40), 'g'.repeat(40), `${'a'.repeat(40)}\n`, ` ${'a'.repeat(40)}`, `-${'a'.repeat(39)}`],
  ])('is refused when it is none: %j', (id) => expect(() => parseCommit('commit', id)).toThrow(refused('commit')));
});

describe('a subdirectory', () => {
  it.each([
    ['', ''],
    ['apps/web', 'apps/web'],
    ['apps/web/', 'apps/web'],
    ['a b/…/@c', 'a b/…/@c'],
    ['..a/b..', '..a/b..'],
  ])('%j is %j', (path, parsed) => expect(parseSubdirectory('subdirectory', path)).toBe(parsed));

  it.each([
    ...['..', '../..', 'a/../b', 'a/..', '.', './a', 'a/./b', '/', '/etc', '//a', 'a//b', 'a\\..\\b', 'a\nb', 'a\0b'],
    ...['.git', 'a/.git', '.GIT/hooks', 'a\u202eb', 'a\ud800', 'x'.repeat(256)],
  ])('is refused when it may leave the repository: %j', (path) => {
    expect(() => parseSubdirectory('subdirectory', path)).toThrow(refused('subdirectory'));
  });
});

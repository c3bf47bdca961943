import { describe, expect, it } from 'vitest';
import { credentialTargets, parseCredentialTarget, parseKnownHosts } from './git-credential.ts';
import { parseGitUrl } from './git-source.ts';

const RULES = { allowedHosts: ['git.internal:8443'] };

describe('what a credential is for', () => {
  it.each([
    ['github.com', 'github.com'],
    ['GitHub.com/', 'github.com'],
    ['git.internal:8443', 'git.internal:8443'],
    ['github.com/acme/shop', 'github.com/acme/shop'],
    ['github.com/acme/shop.git', 'github.com/acme/shop'],
    ['https://github.com/acme/shop.git', 'github.com/acme/shop'],
    ['git@github.com:acme/shop.git', 'github.com/acme/shop'],
    ['ssh://git@github.com:2222/acme/shop', 'github.com:2222/acme/shop'],
  ])('is read from %s', (text, target) => {
    expect(parseCredentialTarget('target', text, RULES)).toBe(target);
  });

  it.each([
    'localhost',
    '10.0.0.1',
    'git.internal',
    'ext::sh',
    '-x',
    'github.com/../x',
    'https://a:b@github.com/x',
    'a b',
  ])('is refused: %s', (text) => {
    expect(() => parseCredentialTarget('target', text, RULES)).toThrow(/^target: /);
  });

  it('covers a repository by every address of it, before its server', () => {
    for (const url of [
      'https://github.com/acme/shop',
      'git@github.com:acme/shop.git',
      'ssh://git@github.com/acme/shop',
    ]) {
      const targets = credentialTargets(parseGitUrl('url', url, RULES));
      expect(targets).toEqual(['github.com/acme/shop', 'github.com']);
    }
  });
});

describe('known hosts', () => {
  it('are lines as ssh-keyscan prints them', () => {
    const lines = '# comment\r\n[git.example.com]:22 ssh-ed25519 AAAA\n\ngit.example.com ecdsa-sha2-nistp256 BBBB note';
    expect(parseKnownHosts('f', `${lines}\n`)).toBe(lines.replaceAll('\r\n', '\n'));
    expect(parseKnownHosts('f', ' \n')).toBe('');
  });

  it.each(['one two', 'a b c\nnonsense', 'a b \u001b[2J', 'x'.repeat(70_000)])('are refused: %j', (text) => {
    expect(() => parseKnownHosts('f', text)).toThrow(/^f: /);
  });
});

import { describe, expect, it } from 'vitest';
import { parseGitUrl } from './git-source.ts';
import { readSubmodules, submoduleUrl } from './submodules.ts';

const NONE = { allowedHosts: [] };

function resolve(parent: string, url: string, rules: { allowedHosts: string[] } = NONE): string {
  return submoduleUrl(parseGitUrl('url', parent, rules), { path: 'lib', url }, rules).text;
}

describe('the address of a submodule', () => {
  it.each([
    ['https://git.example.com/acme/api.git', '../lib.git', 'https://git.example.com/acme/lib.git'],
    ['https://git.example.com:8443/acme/api', '../../other/lib', 'https://git.example.com:8443/other/lib'],
    ['https://git.example.com/acme/api', './lib', 'https://git.example.com/acme/api/lib'],
    ['https://git.example.com/acme/api', '../x/./../lib', 'https://git.example.com/acme/lib'],
    ['git@git.example.com:acme/api.git', '../lib.git', 'git@git.example.com:acme/lib.git'],
    ['git@git.example.com:acme/api.git', '../../lib.git', 'git@git.example.com:lib.git'],
    ['ssh://me@git.example.com:2222/acme/api', '../lib', 'ssh://me@git.example.com:2222/acme/lib'],
    ['https://git.example.com/acme/api', 'https://other.example.com/lib', 'https://other.example.com/lib'],
  ])('of %s, written %s, is %s', (parent, url, expected) => expect(resolve(parent, url)).toBe(expected));

  it.each([
    ['https://git.example.com/acme/api', 'git@git.example.com:acme/lib.git', 'https://git.example.com/acme/lib.git'],
    ['https://git.example.com/acme/api', 'ssh://git@git.example.com:2222/acme/lib', 'https://git.example.com/acme/lib'],
    ['ssh://git@git.example.com:2222/acme/api', 'https://git.example.com/lib', 'ssh://git@git.example.com:2222/lib'],
    ['https://git.example.com/acme/api', 'git@other.example.com:acme/lib', 'git@other.example.com:acme/lib'],
  ])('of %s, written %s, is reached as %s', (parent, url, expected) => expect(resolve(parent, url)).toBe(expected));

  it.each([
    ...['../../../lib', '../..', '..', './-x', '/srv/lib', 'lib', 'file:///srv/lib', 'ext::sh -c id', ''],
    ...['-u./payload', '--upload-pack=id', 'http://git.example.com/lib', 'https://127.0.0.1/lib', 'https://gitlab/lib'],
    ...[
      'https://169.254.169.254/lib',
      'git@10.0.0.1:lib',
      'https://me:hunter2@git.example.com/lib',
      '../a b',
      '../a\nb',
    ],
  ])('is refused when no other address would be taken: %j', (url) => {
    const attempt = () => resolve('https://git.example.com/acme/api', url);
    expect(attempt).toThrow(
      expect.objectContaining({ code: 'SOURCE_REFUSED', message: expect.stringContaining('"lib"') }),
    );
    expect(attempt).not.toThrow(/hunter2/);
  });

  it('is found by the path of the submodule, whatever its name', () => {
    const settings = [
      ['submodule.one.two.path', 'lib/a'],
      ['submodule.one.two.url', '../a'],
      ['submodule.b.url', '../b'],
      ['submodule.c.path', 'c'],
      ['submodule.d.path', 'd'],
      ['submodule.d.url', '../d'],
      ['submodule.d.url', '../e'],
      ['submodule.d.update', '!id'],
    ] as const;
    expect([...readSubmodules(settings)]).toEqual([
      ['lib/a', '../a'],
      ['d', '../e'],
    ]);
  });
});

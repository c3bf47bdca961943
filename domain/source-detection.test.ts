import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BuildWish, detectBuild } from './source-detection.ts';

function detect(files: string[], wish: Partial<BuildWish> = {}, contents: Record<string, string> = {}) {
  return detectBuild({ files, contents }, wish);
}

const BUILDS = { 'package.json': '{"scripts":{"build":"vite build"}}' };

describe('how a source is built', () => {
  it.each<[string, string[], Partial<BuildWish>, string, string]>([
    [
      'a Dockerfile before all else',
      ['compose.yaml', 'Dockerfile', 'package.json', 'index.html'],
      {},
      'dockerfile',
      'a Dockerfile at its root; compose.yaml is there too, and taken with --compose',
    ],
    [
      'a Compose file of another name',
      ['compose.yaml', 'Dockerfile', 'compose.production.yaml'],
      { kind: 'compose', composePath: 'compose.production.yaml' },
      'compose',
      'a Compose file asked for by its name, compose.production.yaml',
    ],
    [
      'a Compose file in a folder',
      ['Dockerfile'],
      { kind: 'compose', composePath: 'deploy/compose.yaml' },
      'compose',
      'a Compose file asked for by its name, deploy/compose.yaml',
    ],
    [
      'a Compose file when nothing else is there',
      ['README.md', 'docker-compose.yml'],
      {},
      'compose',
      'the Compose file docker-compose.yml at its root',
    ],
    [
      'a Compose file when asked for',
      ['compose.yaml', 'compose.yml', 'Dockerfile'],
      { kind: 'compose' },
      'compose',
      'the Compose file compose.yaml at its root',
    ],
    [
      'nixpacks where there is nothing but an application',
      ['README.md', 'go.mod'],
      {},
      'nixpacks',
      'a Go application (go.mod at its root), which nixpacks builds',
    ],
    [
      'nixpacks when asked for, whatever else is there',
      ['Dockerfile', 'compose.yaml', 'index.html', 'requirements.txt'],
      { kind: 'nixpacks' },
      'nixpacks',
      'a Python application (requirements.txt at its root), which nixpacks builds',
    ],
    [
      'nixpacks when asked for, which knows more languages',
      ['main.zig'],
      { kind: 'nixpacks' },
      'nixpacks',
      'nixpacks asked for by its name',
    ],
    [
      'a Compose file before an application',
      ['package.json', 'compose.yaml'],
      {},
      'compose',
      'the Compose file compose.yaml at its root',
    ],
    ['a page', ['index.html', 'style.css'], {}, 'static', 'an index.html at its root'],
    [
      'a page in public/',
      ['public/index.html', 'compose.yml'],
      {},
      'static',
      'an index.html in public/; compose.yml is there too, and taken with --compose',
    ],
    [
      'a page before an application that builds nothing',
      ['package.json', 'index.html'],
      {},
      'static',
      'an index.html at its root',
    ],
    [
      'a Dockerfile of another name',
      ['Dockerfile', 'Dockerfile.web'],
      { dockerfilePath: 'Dockerfile.web' },
      'dockerfile',
      'a Dockerfile asked for by its name, Dockerfile.web',
    ],
    [
      'a Dockerfile in a folder',
      ['index.html'],
      { dockerfilePath: 'docker/web' },
      'dockerfile',
      'a Dockerfile asked for by its name, docker/web',
    ],
  ])('is by %s', (_, files, wish, kind, reason) => {
    expect(detect(files, wish)).toMatchObject({ kind, reason });
  });

  it('is not by a page that is the input of a build, but by its result', () => {
    expect(detect(['package.json', 'index.html'], {}, BUILDS)).toMatchObject({ kind: 'nixpacks' });
    expect(detect(['package.json', 'index.html', 'dist/index.html'], {}, BUILDS)).toMatchObject({
      file: 'dist/index.html',
    });
    expect(detect(['package.json', 'index.html'], { kind: 'static' }, BUILDS)).toMatchObject({ file: 'index.html' });
    expect(detect(['package.json', 'index.html'], {}, { 'package.json': '{' })).toMatchObject({ kind: 'static' });
    expect(detect(['package.json', 'index.html'], {}, { 'package.json': 'null' })).toMatchObject({ kind: 'static' });
  });

  it.each<[string[], Partial<BuildWish>, string]>([
    [
      [],
      {},
      'looked for a Dockerfile; a page (index.html, public/index.html, dist/index.html); a Compose file (compose.yaml, compose.yml, docker-compose.yaml, docker-compose.yml); an application for nixpacks (nixpacks.toml, package.json, ',
    ],
    [['Dockerfile'], { kind: 'compose' }, 'looked for a Compose file'],
    [['compose.yaml'], { kind: 'compose', composePath: 'other.yaml' }, 'looked for other.yaml; found none'],
    [['dockerfile'], { kind: 'dockerfile' }, 'looked for a Dockerfile; found none'],
    [['Dockerfile'], { dockerfilePath: 'Dockerfile.web' }, 'looked for Dockerfile.web; found none'],
    [['go.mod'], { kind: 'dockerfile' }, 'looked for a Dockerfile; found none'],
    [['README.md'], {}, 'build.gradle.kts, mix.exs); found none'],
  ])('is refused for %j with %j', (files, wish, message) => {
    const refusal = expect.objectContaining({ code: 'SOURCE_REFUSED', message: expect.stringContaining(message) });
    expect(() => detect(files, wish)).toThrow(refusal);
  });

  it('is what was asked for or nothing, and by itself an application only where there is nothing else', () => {
    const names = ['Dockerfile', 'compose.yaml', 'docker-compose.yml', 'index.html', 'package.json', 'stack.yaml'];
    const wishes = fc.constantFrom<Partial<BuildWish>>(
      {},
      { kind: 'compose' },
      { kind: 'compose', composePath: 'stack.yaml' },
      { kind: 'nixpacks' },
      { dockerfilePath: 'Dockerfile' },
    );
    fc.assert(
      fc.property(fc.subarray(names), wishes, (files, wish) => {
        const found = detectOrNothing(files, wish);
        const asked = wish.kind ?? (wish.dockerfilePath === undefined ? undefined : 'dockerfile');
        if (found === undefined) return;
        if (found.file !== '') expect(files).toContain(found.file);
        if (asked !== undefined) expect(found.kind).toBe(asked);
        else if (found.kind === 'compose')
          expect(files.some((file) => ['Dockerfile', 'index.html'].includes(file))).toBe(false);
        else if (found.kind === 'nixpacks') expect(files.filter((file) => !/package|stack/.test(file))).toEqual([]);
        else expect(found.reason.includes('--compose')).toBe(files.some((file) => file.includes('compose')));
        if (wish.composePath !== undefined) expect(found.file).toBe(wish.composePath);
      }),
    );
  });
});

function detectOrNothing(files: string[], wish: Partial<BuildWish> = {}) {
  try {
    return detect(files, wish);
  } catch {
    // Nothing was found.
    return undefined;
  }
}
